package io.spd4j.finetune.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.DoubleBinaryOperator;
import java.util.function.Function;

/**
 * How a measure of one setting's runs differs from that of another's, seed by seed.
 *
 * @param seeds the seeds of which both settings have a complete run with a finite measure
 * @param values the difference for each of the seeds
 * @param mean the mean difference; NaN with fewer than 2 seeds
 * @param interval the 95% confidence interval of the mean; null with fewer than 2 seeds
 * @param signs the sign test; null with fewer than 2 seeds
 */
record PairedDifference(
    List<Long> seeds,
    List<Double> values,
    double mean,
    BootstrapInterval interval,
    SignTest signs) {
  /**
   * Compares runs with those of the same seed.
   *
   * @param measure of a run; empty if it has none
   * @param difference of a run's measure and the baseline's
   */
  static PairedDifference of(
      List<Run> runs,
      List<Run> baseline,
      Function<Run, OptionalDouble> measure,
      DoubleBinaryOperator difference) {
    Map<Long, Run> bySeed = new LinkedHashMap<>();
    baseline.forEach(run -> bySeed.put(run.seed(), run));
    List<Long> seeds = new ArrayList<>();
    List<Double> values = new ArrayList<>();
    for (Run run : runs) {
      Run other = bySeed.get(run.seed());
      OptionalDouble own = measure.apply(run);
      OptionalDouble others = other == null ? OptionalDouble.empty() : measure.apply(other);
      if (own.isPresent() && others.isPresent()) {
        double value = difference.applyAsDouble(own.getAsDouble(), others.getAsDouble());
        if (Double.isFinite(value)) {
          seeds.add(run.seed());
          values.add(value);
        }
      }
    }
    boolean enough = values.size() >= 2;
    return new PairedDifference(
        List.copyOf(seeds),
        List.copyOf(values),
        enough ? Statistics.mean(values.stream().mapToDouble(v -> v).toArray()) : Double.NaN,
        enough ? BootstrapInterval.ofMean(values) : null,
        enough ? SignTest.of(values) : null);
  }

  /** Returns whether there are enough seeds for a mean with an interval. */
  boolean enough() {
    return seeds.size() >= 2;
  }
}
