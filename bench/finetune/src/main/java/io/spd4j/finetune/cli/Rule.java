package io.spd4j.finetune.cli;

import io.spd4j.DecayRule;
import io.spd4j.L2SP;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.WeightDecay;
import java.util.Locale;
import java.util.function.DoubleFunction;

/** The decay rules under the names that they have in traces and on the command line. */
public enum Rule {
  ADAMW("AdamW", WeightDecay::new),
  L2SP("L2-SP", L2SP::new),
  L2SP_COUPLED("L2-SP, coupled", lambda -> new L2SP(lambda, true)),
  SPD("SPD", SelectiveProjectionDecay::new);

  private final String title;
  private final DoubleFunction<DecayRule> decay;

  Rule(String title, DoubleFunction<DecayRule> decay) {
    this.title = title;
    this.decay = decay;
  }

  /** The name that its papers use. */
  public String title() {
    return title;
  }

  /** The rule with a strength λ. */
  public DecayRule decay(double lambda) {
    return decay.apply(lambda);
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
