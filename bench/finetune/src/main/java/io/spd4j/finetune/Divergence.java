package io.spd4j.finetune;

import io.spd4j.finetune.report.History;
import java.util.List;

/**
 * Decides that a run has diverged: its last {@value #STEPS} steps, or all steps of a shorter run,
 * had a loss or gradients that are not finite. The optimizer skips such a step, so only a batch
 * that the weights can bear ends the series, and after so many none is likely to come.
 */
final class Divergence {
  static final int STEPS = 20;

  private Divergence() {}

  /**
   * @param planned the run's number of steps
   */
  static boolean of(History history, int planned) {
    List<History.Step> steps = history.steps();
    int last = Math.min(STEPS, planned);
    return steps.size() >= last
        && steps.subList(steps.size() - last, steps.size()).stream()
            .noneMatch(s -> Double.isFinite(s.loss()) && Double.isFinite(s.gradientNorm()));
  }
}
