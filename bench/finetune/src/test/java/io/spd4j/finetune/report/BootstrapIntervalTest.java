package io.spd4j.finetune.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

class BootstrapIntervalTest {
  /** Of 4^4 resamples, few enough to count, 2.5% lie inside the runs of equal means named here. */
  @Test
  void findsThePercentilesOfAllResamples() {
    BootstrapInterval interval = BootstrapInterval.ofMean(List.of(0.0, 1.0, 10.0, 100.0));

    // Mean 0: 1 resample, 0.25: 4, 0.5: 6. So 0.5 is between the shares 1.95% and 4.3%.
    assertThat(interval.low()).isEqualTo(0.5);
    // Mean 100: 1 resample, 77.5: 4, 75.25: 4. So 75.25 is between 1.95% and 3.5% from above.
    assertThat(interval.high()).isEqualTo(75.25);
  }

  /** With 3 values, one resample of 27, 3.7%, has three times the smallest. */
  @Test
  void reachesFromTheSmallestToTheLargestOfThree() {
    assertThat(BootstrapInterval.ofMean(List.of(4.0, -1.0, 2.0)))
        .isEqualTo(new BootstrapInterval(-1, 4));
  }

  /**
   * Compared with numpy: of 1,000,000 resamples x[rng.integers(0, 10, (1000000, 10))].mean(1), the
   * percentiles 2.5 and 97.5 are 0.15 and 1.07 to 1.08. Those of 10,000 vary by 0.007.
   */
  @Test
  void agreesWithNumpy() {
    BootstrapInterval interval =
        BootstrapInterval.ofMean(List.of(0.4, -0.1, 1.3, 0.0, 0.7, 2.1, -0.6, 0.9, 0.2, 1.1));

    assertThat(interval.low()).isEqualTo(0.15, within(0.021));
    assertThat(interval.high()).isEqualTo(1.075, within(0.026));
  }

  @Test
  void theSameValuesGiveTheSameInterval() {
    List<Double> values = List.of(0.3, 0.1, -0.7, 0.05);

    assertThat(BootstrapInterval.ofMean(values)).isEqualTo(BootstrapInterval.ofMean(values));
    assertThat(BootstrapInterval.ofMean(Collections.nCopies(4, 0.25)))
        .isEqualTo(new BootstrapInterval(0.25, 0.25));
  }
}
