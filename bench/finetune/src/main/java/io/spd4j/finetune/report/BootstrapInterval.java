package io.spd4j.finetune.report;

import java.util.List;
import org.hipparchus.random.RandomGenerator;
import org.hipparchus.random.Well19937c;
import org.hipparchus.stat.descriptive.rank.Percentile;
import org.hipparchus.stat.descriptive.rank.Percentile.EstimationType;

/**
 * A 95% confidence interval of a mean: the percentile bootstrap (Efron, "Bootstrap methods: another
 * look at the jackknife", 1979). The same values give the same interval, whatever else is computed.
 * With few values it is too narrow: for normally distributed ones it contained the true mean in 75%
 * of 1,500 simulated cases with 3 values, in 83% with 5, 90% with 10 and 94% with 20.
 *
 * @param low the 2.5th percentile of the resamples' means
 * @param high the 97.5th percentile
 */
record BootstrapInterval(double low, double high) {
  static final int RESAMPLES = 10_000;
  private static final int SEED = 1;

  /**
   * Returns the interval of the values' mean.
   *
   * @param values 1 or more, all finite
   */
  static BootstrapInterval ofMean(List<Double> values) {
    RandomGenerator random = new Well19937c(SEED);
    double[] from = values.stream().mapToDouble(v -> v).toArray();
    double[] means = new double[RESAMPLES];
    for (int i = 0; i < RESAMPLES; i++) {
      double sum = 0;
      for (int k = 0; k < from.length; k++) {
        sum += from[random.nextInt(from.length)];
      }
      means[i] = sum / from.length;
    }
    // Interpolates linearly, as numpy does.
    Percentile percentile = new Percentile().withEstimationType(EstimationType.R_7);
    percentile.setData(means);
    return new BootstrapInterval(percentile.evaluate(2.5), percentile.evaluate(97.5));
  }
}
