package io.spd4j.finetune.report;

import com.fasterxml.jackson.annotation.JsonProperty;

/**
 * How many examples of a test set a model got right.
 *
 * @param correct 0 to total
 * @param total 1 or more
 */
public record Score(int correct, int total) {
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
  @JsonProperty
  public double accuracy() {
    return (double) correct / total;
  }
}
