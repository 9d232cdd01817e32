package io.spd4j.bench.compare;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class SpreadTest {
  @Test
  void quartilesLieBetweenTheNearestValues() {
    assertThat(Spread.of(new double[] {50, 10, 30, 20, 40})).isEqualTo(new Spread(20, 30, 40));
    assertThat(Spread.of(new double[] {4, 1, 2, 3})).isEqualTo(new Spread(1.75, 2.5, 3.25));
    assertThat(Spread.of(new double[] {7})).isEqualTo(new Spread(7, 7, 7));
  }

  @Test
  void nothingHasNoSpread() {
    assertThat(Spread.of(new double[0])).isEqualTo(new Spread(Double.NaN, Double.NaN, Double.NaN));
  }
}
