package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

class SeedsTest {
  private static final long MAX = Long.MAX_VALUE;

  @Test
  void readsNumbersAndRanges() {
    assertThat(seeds("7")).containsExactly(7L);
    assertThat(seeds("1,2,5..7")).containsExactly(1L, 2L, 5L, 6L, 7L);
    assertThat(seeds("3..3,-2..1")).containsExactly(3L, -2L, -1L, 0L, 1L);
    assertThat(seeds(MAX - 1 + ".." + MAX)).containsExactly(MAX - 1, MAX);
    assertThat(new Parsed().seeds()).containsExactly(1L);
  }

  @Test
  void dropsDuplicates() {
    assertThat(seeds("2,1..3,2")).containsExactly(2L, 1L, 3L);
  }

  @Test
  void aRangeIsTheSameValueAsItsNumbers() {
    assertThat(Fixtures.job("--seeds", "1..3").identity(Fixtures.training()))
        .isEqualTo(Fixtures.job("--seeds", "1,2,3").identity(Fixtures.training()))
        .containsEntry("--seeds", "[1, 2, 3]");
  }

  @Test
  void takesAThousandSeeds() {
    List<Long> thousand = LongStream.rangeClosed(1, 1000).boxed().toList();

    assertThat(seeds("1..1000")).isEqualTo(thousand);
    assertThat(seeds("1..600,500..1000")).isEqualTo(thousand);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "one | 'one' is neither a seed (a whole number) nor a range of seeds, such as 1..10",
        "'' | '' is neither a seed",
        "1,,2 | '' is neither a seed",
        "1.5 | '1.5' is neither a seed",
        "1.. | '1..' is neither a seed",
        "..3 | '..3' is neither a seed",
        "1..2..3 | '1..2..3' is neither a seed",
        "1...3 | '1...3' is neither a seed",
        "9223372036854775808 | '9223372036854775808' is neither a seed",
        "1,7..5 | '7..5' is a descending range: write 5..7",
        "1..1001 | '1..1001' is more than 1,000 seeds",
        "1..600,1001..1401 | '1..600,1001..1401' is more than 1,000 seeds",
        "-9223372036854775808..9223372036854775807 | is more than 1,000 seeds",
        "0..9223372036854775807 | is more than 1,000 seeds",
      })
  void refusesOtherTexts(String text, String message) {
    assertThatThrownBy(() -> seeds(text))
        .isInstanceOf(ParameterException.class)
        .hasMessageContaining("--seeds")
        .hasMessageContaining(message);
  }

  private static List<Long> seeds(String text) {
    return new Parsed("--seeds", text).seeds();
  }

  /** The options that all commands with runs have. */
  private static final class Parsed extends RunOptions {
    Parsed(String... arguments) {
      new CommandLine(this).parseArgs(arguments);
    }
  }
}
