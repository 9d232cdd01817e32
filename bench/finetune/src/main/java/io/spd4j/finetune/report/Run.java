package io.spd4j.finetune.report;

import java.util.Map;

/**
 * One training run and how the model did afterwards.
 *
 * @param rule the decay rule's name: "AdamW", "L2-SP", "SPD"
 * @param lambda the rule's strength, finite
 * @param state how the optimizer's arrays are stored: "float32", "8bit"
 * @param seed the seed of the run's random numbers
 * @param plannedSteps the number of steps of a complete run
 * @param complete false if the run was interrupted, in training or in the tests
 * @param scores by the test sets of {@link FinetuneReport#testSets()}; without the tests that were
 *     not run
 * @param deviation ‖θ−θ0‖ over all pre-trained parameters at the end
 * @param history the steps that were taken
 * @param weights the name of the file with the fine-tuned weights; null if none was written
 */
public record Run(
    String rule,
    double lambda,
    String state,
    long seed,
    int plannedSteps,
    boolean complete,
    Map<String, Score> scores,
    double deviation,
    History history,
    String weights) {
  /**
   * Copies the scores.
   *
   * @throws IllegalArgumentException if lambda is not finite
   */
  public Run {
    if (!Double.isFinite(lambda)) {
      throw new IllegalArgumentException("lambda must be finite, not " + lambda);
    }
    scores = Map.copyOf(scores);
  }

  /** Returns the median milliseconds of a step; NaN without steps. */
  public double stepMillis() {
    return Statistics.median(
        history.steps().stream().mapToDouble(History.Step::stepMillis).toArray());
  }

  /** Returns the median milliseconds in the optimizer per step; NaN without steps. */
  public double optimizerMillis() {
    return Statistics.median(
        history.steps().stream().mapToDouble(History.Step::optimizerMillis).toArray());
  }
}
