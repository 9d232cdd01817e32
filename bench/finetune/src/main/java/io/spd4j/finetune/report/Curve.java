package io.spd4j.finetune.report;

import java.util.List;

/**
 * A complete run from random weights.
 *
 * @param state how the optimizer's arrays were stored
 * @param seed the seed of the run's random numbers
 * @param steps step 1 first
 * @param heldOut the loss on text that the model was not trained on
 */
public record Curve(String state, long seed, List<Step> steps, double heldOut) {
  /** Steps whose mean is the final loss. */
  static final int LAST = 100;

  /**
   * A step.
   *
   * @param loss the batch's mean loss
   * @param stepMillis milliseconds of the whole step
   * @param optimizerMillis the optimizer's part of stepMillis
   */
  public record Step(double loss, double stepMillis, double optimizerMillis) {}

  /** Copies the steps. */
  public Curve {
    steps = List.copyOf(steps);
  }

  /** Returns the mean loss of the last steps. */
  public double finalLoss() {
    return loss(Math.max(0, steps.size() - LAST), steps.size());
  }

  /** Returns the mean loss of steps, counted from 0. */
  double loss(int from, int to) {
    return Statistics.mean(steps.subList(from, to).stream().mapToDouble(Step::loss).toArray());
  }

  double stepMillis() {
    return Statistics.median(steps.stream().mapToDouble(Step::stepMillis).toArray());
  }

  double optimizerMillis() {
    return Statistics.median(steps.stream().mapToDouble(Step::optimizerMillis).toArray());
  }
}
