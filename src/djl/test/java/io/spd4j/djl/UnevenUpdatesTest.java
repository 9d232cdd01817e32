package io.spd4j.djl;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import java.util.ArrayList;
import java.util.List;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;

/**
 * Parameters that are updated unevenly: "often" in each of ten rounds, "rare" only in the last.
 * Each must be corrected for its own number of updates. DJL's own Adam takes the largest number for
 * all.
 */
class UnevenUpdatesTest {
  private static final int ROUNDS = 10;
  private static final double LR = 0.01;
  private static final double BETA1 = 0.9;
  private static final double BETA2 = 0.999;
  private static final Offset<Double> ROUNDING = Offset.offset(1e-6);

  /** What Adam's equations give for a gradient of 0.5 in each of a number of updates, from 1. */
  private static double expected(int updates) {
    double theta = 1;
    double m = 0;
    double v = 0;
    for (int t = 1; t <= updates; t++) {
      m = BETA1 * m + (1 - BETA1) * 0.5;
      v = BETA2 * v + (1 - BETA2) * 0.25;
      double mHat = m / (1 - Math.pow(BETA1, t));
      double vHat = v / (1 - Math.pow(BETA2, t));
      theta -= LR * mHat / (Math.sqrt(vHat) + 1e-8);
    }
    return theta;
  }

  private static List<Double> run(Optimizer optimizer) {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray often = manager.ones(new Shape(3));
      NDArray rare = manager.ones(new Shape(3));
      NDArray gradient = manager.full(new Shape(3), 0.5f);
      for (int round = 1; round <= ROUNDS; round++) {
        optimizer.update("often", often, gradient);
        if (round == ROUNDS) {
          optimizer.update("rare", rare, gradient);
        }
      }
      return List.of((double) often.getFloat(1), (double) rare.getFloat(1));
    }
  }

  @Test
  void eachParameterCountsItsOwnUpdates() {
    try (SpdOptimizer optimizer =
        SpdOptimizer.builder().optLearningRateTracker(Tracker.fixed((float) LR)).build()) {
      List<Double> values = run(optimizer);
      assertThat(values.get(0)).isCloseTo(expected(ROUNDS), ROUNDING);
      assertThat(values.get(1)).isCloseTo(expected(1), ROUNDING);
    }
  }

  @Test
  void djlsAdamCountsThoseOfOtherParameters() {
    List<Double> values =
        run(Optimizer.adam().optLearningRateTracker(Tracker.fixed((float) LR)).build());
    assertThat(values.get(0)).isCloseTo(expected(ROUNDS), ROUNDING);
    // Its first update, corrected as if it were the tenth, is not half as long as it should be.
    double m = (1 - BETA1) * 0.5 / (1 - Math.pow(BETA1, ROUNDS));
    double v = (1 - BETA2) * 0.25 / (1 - Math.pow(BETA2, ROUNDS));
    assertThat(values.get(1)).isCloseTo(1 - LR * m / Math.sqrt(v), ROUNDING);
    assertThat(1 - values.get(1)).isLessThan(0.5 * (1 - expected(1)));
  }

  @Test
  void theTrackerIsToldTheLargestCountOfAll() {
    List<String> calls = new ArrayList<>();
    try (SpdOptimizer optimizer =
        SpdOptimizer.builder()
            .optBeginNumUpdate(100)
            .optLearningRateTracker((id, count) -> {
              calls.add(id + " " + count);
              return 1e-3f;
            })
            .build()) {
      run(optimizer);
    }
    assertThat(calls).hasSize(ROUNDS + 1).startsWith("often 101", "often 102");
    assertThat(calls).endsWith("often 110", "rare 110");
  }
}
