package io.spd4j.finetune.report;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonProperty.Access;

/**
 * How a model did on a set of examples.
 *
 * @param correct how many it classified correctly, 0 to total
 * @param total 1 or more
 * @param loss the mean cross-entropy; NaN if the model gives no finite numbers
 */
public record Score(int correct, int total, double loss) {
  /**
   * Checks the range.
   *
   * @throws IllegalArgumentException if a number is out of range
   */
  public Score {
    if (correct < 0 || correct > total || total < 1) {
      throw new IllegalArgumentException(
          "correct must be 0 to total and total 1 or more, not " + correct + " of " + total);
    }
  }

  /** Returns the correct share, 0 to 1. */
  @JsonProperty(access = Access.READ_ONLY)
  public double accuracy() {
    return (double) correct / total;
  }
}
