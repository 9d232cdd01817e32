package io.spd4j.finetune.report;

import java.util.Map;

/**
 * One training run and how the model did afterwards.
 *
 * @param rule the decay rule's name: "AdamW", "L2-SP", "SPD"
 * @param lambda the rule's strength, finite
 * @param seed what the run's random numbers started from
 * @param plannedSteps steps that a complete run takes
 * @param complete false if it was interrupted, be it in training or in the tests
 * @param scores by test set, of {@link FinetuneReport#testSets()}; those that are missing were not
 *     run
 * @param deviation ‖θ−θ0‖ over all pre-trained parameters at the end
 * @param history the steps that were taken
 * @param weights name of the file with the fine-tuned weights; null: none was written
 */
public record Run(
    String rule,
    double lambda,
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

  /** Milliseconds a step, the median; NaN without steps. */
  public double stepMillis() {
    return Statistics.median(
        history.steps().stream().mapToDouble(History.Step::stepMillis).toArray());
  }

  /** Milliseconds in the optimizer a step, the median; NaN without steps. */
  public double optimizerMillis() {
    return Statistics.median(
        history.steps().stream().mapToDouble(History.Step::optimizerMillis).toArray());
  }
}
