package io.spd4j.finetune.report;

import java.util.Arrays;

/** Summaries of numbers; NaN if there are too few. */
public final class Statistics {
  private Statistics() {}

  /** Returns the middle value, or the mean of the two middle values. */
  public static double median(double[] values) {
    return quantile(values, 0.5);
  }

  /**
   * Returns the value below which a share of the values lies, interpolated linearly.
   *
   * @param part the share, from 0 for the smallest to 1 for the largest value
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

  /** Returns the sample standard deviation, with n − 1. */
  static double standardDeviation(double[] values) {
    double mean = mean(values);
    double squares = Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum();
    return values.length < 2 ? Double.NaN : Math.sqrt(squares / (values.length - 1));
  }
}
