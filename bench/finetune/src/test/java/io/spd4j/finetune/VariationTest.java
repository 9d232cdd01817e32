package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class VariationTest {
  private final Variation.Converter converter = new Variation.Converter();

  @Test
  void readsItsParts() {
    assertThat(converter.convert("plain")).isEqualTo(Variation.PLAIN);
    assertThat(converter.convert("noise=0.1+mails=300+spurious=0.95"))
        .isEqualTo(new Variation(0.95, 0.1, 300));
    assertThat(converter.convert("spurious=0")).isEqualTo(new Variation(0.0, 0, null));
    assertThat(converter.convert("mails=2")).isEqualTo(new Variation(null, 0, 2));
  }

  @ParameterizedTest
  @ValueSource(strings = {"plain", "spurious=0.9", "noise=0.2", "spurious=0.8+noise=0.1+mails=100"})
  void itsTextIsReadBack(String text) {
    assertThat(Variation.of(text)).hasToString(text);
    assertThat(Variation.of(Variation.of(text).toString())).isEqualTo(Variation.of(text));
  }

  @Test
  void itsTitleIsForReaders() {
    assertThat(Variation.PLAIN.title()).isEmpty();
    assertThat(Variation.of("mails=300+noise=0.1+spurious=0.95").title())
        .isEqualTo("planted word, p = 0.95, 10% wrong labels, 300 mails");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "clean | 'clean' is neither plain, spurious=P, noise=SHARE nor mails=N",
        "noise | 'noise' is neither plain, spurious=P, noise=SHARE nor mails=N",
        "noise=0.1+ | '' is neither plain, spurious=P, noise=SHARE nor mails=N",
        "plain+noise=0.1 | 'plain' is neither plain, spurious=P, noise=SHARE nor mails=N",
        "noise=0.1+noise=0.2 | 'noise' is given twice",
        "noise=1.1 | noise must be 0 to 1, not '1.1'",
        "noise=NaN | noise must be 0 to 1, not 'NaN'",
        "spurious=x | spurious must be 0 to 1, not 'x'",
        "mails=1 | mails must be 2 or more, not '1'",
        "mails=0 | mails must be 2 or more, not '0'",
        "mails=9999999999 | mails must be 2 or more, not '9999999999'",
      })
  void refuses(String text, String message) {
    assertThatThrownBy(() -> converter.convert(text))
        .isInstanceOf(TypeConversionException.class)
        .hasMessage(message);
  }
}
