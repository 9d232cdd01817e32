package io.spd4j.finetune.report;

import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * A run's steps in a few numbers, which are NaN without steps.
 *
 * @param steps how many there were
 * @param stepMillis the median milliseconds of a step
 * @param optimizerMillis the median milliseconds in the optimizer
 * @param tokensPerSecond the tokens of the texts, without padding, per second of all steps
 * @param padding the share of padding in what was computed, 0 to 1
 */
record StepSummary(
    int steps, double stepMillis, double optimizerMillis, double tokensPerSecond, double padding) {
  static StepSummary of(List<History.Step> steps) {
    double tokens = sum(steps, History.Step::tokens);
    double padding = sum(steps, History.Step::padding);
    return new StepSummary(
        steps.size(),
        median(steps, History.Step::stepMillis),
        median(steps, History.Step::optimizerMillis),
        tokens / sum(steps, History.Step::stepMillis) * 1e3,
        padding / (tokens + padding));
  }

  private static double median(List<History.Step> steps, ToDoubleFunction<History.Step> value) {
    return Statistics.median(steps.stream().mapToDouble(value).toArray());
  }

  private static double sum(List<History.Step> steps, ToDoubleFunction<History.Step> value) {
    return steps.stream().mapToDouble(value).sum();
  }
}
