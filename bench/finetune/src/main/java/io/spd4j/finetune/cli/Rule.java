package io.spd4j.finetune.cli;

import io.spd4j.CautiousDecay;
import io.spd4j.DecayRule;
import io.spd4j.L2SP;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.WeightDecay;
import java.math.BigDecimal;
import java.util.Locale;
import java.util.function.DoubleFunction;

/**
 * The decay rules. A constant's name in lower case is the rule's name on the command line and in
 * files.
 */
public enum Rule {
  ADAMW("AdamW", 0.01, false, WeightDecay::new),
  L2SP("L2-SP", 10, true, L2SP::new),
  L2SP_COUPLED("L2-SP, coupled", 0.01, true, lambda -> new L2SP(lambda, true)),
  SPD("SPD", 1, true, SelectiveProjectionDecay::new),
  CAUTIOUS("Cautious decay", 10, true, CautiousDecay::new);

  private final String title;
  private final double lambda;
  private final boolean readsAnchor;
  private final DoubleFunction<DecayRule> decay;

  Rule(String title, double lambda, boolean readsAnchor, DoubleFunction<DecayRule> decay) {
    this.title = title;
    this.lambda = lambda;
    this.readsAnchor = readsAnchor;
    this.decay = decay;
  }

  /**
   * Finds a rule by its name in lower case.
   *
   * @throws IllegalArgumentException if there is no such rule
   */
  public static Rule of(String name) {
    return valueOf(name.toUpperCase(Locale.ROOT));
  }

  /** Returns the name that papers use. */
  public String title() {
    return title;
  }

  /** Returns the default strength λ. */
  public double lambda() {
    return lambda;
  }

  /** Returns whether the rule decays towards an anchor if there is one. */
  public boolean readsAnchor() {
    return readsAnchor;
  }

  /** Returns the rule with a strength λ. */
  public DecayRule decay(double lambda) {
    return decay.apply(lambda);
  }

  /** Formats a strength as people write it: 0.01 and 1, not 1.0. */
  public static String number(double lambda) {
    return BigDecimal.valueOf(lambda).stripTrailingZeros().toPlainString();
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
