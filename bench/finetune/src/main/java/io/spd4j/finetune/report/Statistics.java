package io.spd4j.finetune.report;

import java.util.Arrays;

/** Summaries of a few numbers. What cannot be told from so few is NaN. */
public final class Statistics {
  private Statistics() {}

  /** The middle one, or the mean of the two in the middle. */
  public static double median(double[] values) {
    return quantile(values, 0.5);
  }

  /**
   * The value below which a part of the values lies: between the two nearest by their distance.
   *
   * @param part from 0, the smallest, to 1, the largest
   */
  public static double quantile(double[] values, double part) {
    if (values.length == 0) {
      return Double.NaN;
    }
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    double at = part * (sorted.length - 1);
    double below = sorted[(int) at];
    double above = sorted[(int) Math.ceil(at)];
    return below + (at - Math.floor(at)) * (above - below);
  }

  static double mean(double[] values) {
    return Arrays.stream(values).average().orElse(Double.NaN);
  }

  /** The sample standard deviation, with n − 1. */
  static double standardDeviation(double[] values) {
    double mean = mean(values);
    double squares = Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum();
    return values.length < 2 ? Double.NaN : Math.sqrt(squares / (values.length - 1));
  }
}
