package io.spd4j.finetune.report;

import java.util.List;
import java.util.Map;

/**
 * One training run and how the model did afterwards.
 *
 * @param setup what it has in common with runs of other seeds
 * @param seed the seed of the run's random numbers
 * @param plannedSteps the number of steps of a complete run
 * @param complete false if the run was interrupted, in training or in the tests
 * @param scores by the test sets of {@link FinetuneReport#testSets()}; without the tests that were
 *     not run
 * @param deviation ‖θ−θ0‖ over all pre-trained parameters at the end
 * @param history the steps that were taken
 * @param weights the name of the file with the fine-tuned weights; null if none was written
 * @param validation how the model did on the validation set; null if there is none
 * @param interpolated models between those at the run's beginning and end; empty if none was tested
 */
public record Run(
    Setup setup,
    long seed,
    int plannedSteps,
    boolean complete,
    Map<String, Score> scores,
    double deviation,
    History history,
    String weights,
    Score validation,
    List<Interpolated> interpolated) {
  /** Copies the collections. */
  public Run {
    interpolated = List.copyOf(interpolated);
    scores = Map.copyOf(scores);
  }

  /** Returns the number of steps that were taken. */
  int steps() {
    return history.summary().steps();
  }

  /** Returns the median milliseconds of a step; NaN without steps. */
  public double stepMillis() {
    return history.summary().stepMillis();
  }

  /** Returns the median milliseconds in the optimizer per step; NaN without steps. */
  public double optimizerMillis() {
    return history.summary().optimizerMillis();
  }

  /**
   * Returns the tokens of the texts, without padding, per second of all steps; NaN without steps.
   */
  public double tokensPerSecond() {
    return history.summary().tokensPerSecond();
  }

  /** Returns the share of padding in what was computed, 0 to 1; NaN without steps. */
  public double padding() {
    return history.summary().padding();
  }

  /** Returns the run with no more than a summary of its steps. */
  Run withoutHistory() {
    return new Run(
        setup,
        seed,
        plannedSteps,
        complete,
        scores,
        deviation,
        History.dropped(history.summary()),
        weights,
        validation,
        interpolated);
  }
}
