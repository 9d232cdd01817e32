package io.spd4j.bench;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class TimingTest {
  @Test
  void findsMedianAndMinimumInAnyOrder() {
    assertThat(Timing.of(new double[] {7})).isEqualTo(new Timing(7, 7));
    assertThat(Timing.of(new double[] {9, 2, 4})).isEqualTo(new Timing(4, 2));
    assertThat(Timing.of(new double[] {9, 2, 5, 4})).isEqualTo(new Timing(4.5, 2));
  }

  @Test
  void runsTheTaskAsOftenAsRequested() {
    int[] runs = {0};

    Timing timing = Timing.of(3, () -> runs[0]++);

    assertThat(runs[0]).isGreaterThanOrEqualTo(3);
    assertThat(timing.minNanos()).isBetween(0.0, timing.medianNanos());
  }
}
