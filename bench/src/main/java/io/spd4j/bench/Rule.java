package io.spd4j.bench;

import io.spd4j.DecayRule;
import io.spd4j.L2SP;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.WeightDecay;
import java.util.Locale;
import java.util.function.DoubleFunction;

/** The decay rules under the names that they have in traces and on the command line. */
enum Rule {
  ADAMW(WeightDecay::new),
  L2SP(L2SP::new),
  L2SP_COUPLED(lambda -> new L2SP(lambda, true)),
  SPD(SelectiveProjectionDecay::new);

  private final DoubleFunction<DecayRule> decay;

  Rule(DoubleFunction<DecayRule> decay) {
    this.decay = decay;
  }

  DecayRule decay(double lambda) {
    return decay.apply(lambda);
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
