package io.spd4j.finetune;

import io.spd4j.DecayRule;
import io.spd4j.NoDecay;
import io.spd4j.finetune.cli.Rule;
import java.util.Locale;
import java.util.function.DoubleFunction;

/**
 * A way of fine-tuning: a decay rule, or a procedure around one. A constant's name in lower case is
 * the method's name on the command line and in files.
 */
enum Method {
  ADAMW(Rule.ADAMW),
  L2SP(Rule.L2SP),
  L2SP_COUPLED(Rule.L2SP_COUPLED),
  SPD(Rule.SPD),
  CAUTIOUS(Rule.CAUTIOUS),

  /**
   * Linear probing, then fine-tuning with AdamW (Kumar et al., "Fine-tuning can distort pretrained
   * features and underperform out-of-distribution", ICLR 2022). In the authors' code fine-tuning is
   * a run of its own that begins with the probed head, so all learning rates, the head's too, start
   * again with a warm-up. Unlike there, the head keeps its moments.
   */
  LP_FT("LP-FT", Rule.ADAMW.lambda(), Rule.ADAMW::decay),

  /** Adam with {@link Ftp}, whose strength is the annealing factor k. */
  FTP("FTP", 1, k -> new NoDecay());

  private final String title;
  private final double lambda;
  private final DoubleFunction<DecayRule> decay;

  Method(Rule rule) {
    this(rule.title(), rule.lambda(), rule::decay);
  }

  Method(String title, double lambda, DoubleFunction<DecayRule> decay) {
    this.title = title;
    this.lambda = lambda;
    this.decay = decay;
  }

  /**
   * Finds a method by its name in lower case.
   *
   * @throws IllegalArgumentException if there is no such method
   */
  static Method of(String name) {
    return valueOf(name.toUpperCase(Locale.ROOT));
  }

  /** Returns the rule by which the backbone's parameters are stepped, with a strength λ. */
  DecayRule decay(double lambda) {
    return decay.apply(lambda);
  }

  /** Returns the name that papers use. */
  String title() {
    return title;
  }

  /** Returns the default strength. */
  double lambda() {
    return lambda;
  }

  /**
   * Returns whether a run can go on in the middle: all of its state is the optimizer's and the
   * trainer's.
   */
  boolean isResumable() {
    return this != FTP;
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
