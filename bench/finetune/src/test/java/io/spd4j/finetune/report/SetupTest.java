package io.spd4j.finetune.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SetupTest {
  @ParameterizedTest
  @CsvSource({"5e-5, 5e-5", "1e-4, 1e-4", "3.5e-5, 3.5e-5", "0, 0", "0.25, 2.5e-1", "1, 1e0"})
  void writesTheLearningRateAsPeopleDo(double lr, String text) {
    assertThat(new Setup("SPD", 1, lr, "float32", "").learningRate()).isEqualTo(text);
  }

  @Test
  void everyMethodHasItsLetter() {
    assertThat(new Setup("SPD", 0.5, 1, "float32", "").label()).isEqualTo("SPD, λ = 0.5");
    assertThat(new Setup("FTP", 1, 1, "float32", "").label()).isEqualTo("FTP, k = 1");
    assertThat(new Setup("WiSE-FT", 0.5, 1, "float32", "").label()).isEqualTo("WiSE-FT, α = 0.5");
  }

  @Test
  void needsFiniteNumbers() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Setup("SPD", Double.NaN, 1, "float32", ""));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Setup("SPD", 1, Double.POSITIVE_INFINITY, "float32", ""));
  }
}
