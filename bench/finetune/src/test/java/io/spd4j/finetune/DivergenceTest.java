package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.finetune.report.History;
import java.util.BitSet;
import java.util.List;
import org.junit.jupiter.api.Test;

class DivergenceTest {
  private final History history = new History(List.of(), List.of());

  private void add(int count, double loss, double norm) {
    for (int i = 0; i < count; i++) {
      history.add(new History.Step(loss, norm, 1, 1, 1, 0, 0, new BitSet()));
    }
  }

  @Test
  void isASeriesOfStepsThatAreNotFinite() {
    assertThat(Divergence.of(history, 100)).isFalse();
    add(Divergence.STEPS - 1, 1, Double.NaN);
    assertThat(Divergence.of(history, 100)).isFalse();
    add(1, 1, 1);
    assertThat(Divergence.of(history, 100)).isFalse();
    add(Divergence.STEPS - 1, Double.NaN, 1);
    assertThat(Divergence.of(history, 100)).isFalse();
    add(1, 1, Double.POSITIVE_INFINITY);
    assertThat(Divergence.of(history, 100)).isTrue();
    add(1, 1, 1);
    assertThat(Divergence.of(history, 100)).isFalse();
  }

  @Test
  void aShortRunHasDivergedIfNoStepIsFinite() {
    add(2, Double.NaN, Double.NaN);
    assertThat(Divergence.of(history, 3)).isFalse();
    add(1, Double.NaN, Double.NaN);
    assertThat(Divergence.of(history, 3)).isTrue();
  }
}
