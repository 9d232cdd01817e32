package io.spd4j.finetune.report;

import java.util.List;
import org.hipparchus.stat.inference.AlternativeHypothesis;
import org.hipparchus.stat.inference.BinomialTest;

/**
 * The sign test of paired differences: whether as many are above 0 as below.
 *
 * @param plus how many are above 0
 * @param minus how many are below 0
 * @param ties how many are 0, which the test leaves out
 * @param p the two-sided p-value: how probable signs as uneven as these, or more so, are if either
 *     sign is as likely as the other; 1 if all are ties
 */
record SignTest(int plus, int minus, int ties, double p) {
  static SignTest of(List<Double> differences) {
    int plus = (int) differences.stream().filter(d -> d > 0).count();
    int minus = (int) differences.stream().filter(d -> d < 0).count();
    // Twice the one-sided value: of probabilities that are equal but for rounding, BinomialTest's
    // two-sided test leaves one out, which makes 0.625 of the 1 for two signs against one.
    double less =
        new BinomialTest()
            .binomialTest(
                plus + minus, Math.min(plus, minus), 0.5, AlternativeHypothesis.LESS_THAN);
    return new SignTest(plus, minus, differences.size() - plus - minus, Math.min(1, 2 * less));
  }

  /** Returns the p-value if all differences have the same sign: no smaller one is possible. */
  static double smallestP(int differences) {
    return Math.scalb(2.0, -differences);
  }
}
