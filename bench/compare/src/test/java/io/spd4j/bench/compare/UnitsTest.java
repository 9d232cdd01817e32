package io.spd4j.bench.compare;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class UnitsTest {
  @ParameterizedTest
  @CsvSource({
    "5.25, 5.25 ns",
    "99.96, 100 ns",
    "999.4, 999 ns",
    "999.6, 1.00 µs",
    "35249, 35.2 µs",
    "999600, 1.00 ms",
    "3.5e9, 3500 ms",
    "NaN, –",
  })
  void timesHaveThreeDigits(double nanos, String text) {
    assertThat(Units.time(nanos)).startsWith(text);
  }

  @Test
  void aSpreadHasOneUnit() {
    assertThat(Units.time(new Spread(900, 1100, 2e6))).isEqualTo("1.10 µs (0.90–2000)");
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0 B",
    "0.3, 0 B",
    "16, 16 B",
    "1440, 1.44 KB",
    "2.5e6, 2.50 MB",
    "1.75e9, 1.75 GB"
  })
  void bytes(double bytes, String text) {
    assertThat(Units.bytes(bytes)).isEqualTo(text);
  }

  @Test
  void counts() {
    assertThat(Units.count(10_000)).isEqualTo("10,000");
    assertThat(Units.count(86_567_656)).isEqualTo("86.6 million");
    assertThat(Units.bytes(null)).isEqualTo("–");
    assertThat(Units.percent(0.666)).isEqualTo("67%");
  }
}
