package io.spd4j.bench.compare;

import io.spd4j.finetune.report.Statistics;

/** The quartiles of some numbers. */
record Spread(double q1, double median, double q3) {
  static Spread of(double[] values) {
    return new Spread(
        Statistics.quantile(values, 0.25),
        Statistics.median(values),
        Statistics.quantile(values, 0.75));
  }
}
