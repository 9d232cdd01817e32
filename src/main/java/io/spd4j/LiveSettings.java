package io.spd4j;

import io.spd4j.kernel.GroupSettings;
import io.spd4j.kernel.Rule;

/** A group's settings as the steps see them: always those of the moment. */
record LiveSettings(ParameterGroup group) implements GroupSettings {
  @Override
  public Rule rule() {
    return switch (group.decay()) {
      case NoDecay none -> Rule.ADAMW;
      case WeightDecay weight -> Rule.ADAMW;
      case L2SP l2sp -> l2sp.coupled() ? Rule.L2SP_COUPLED : Rule.L2SP;
      case SelectiveProjectionDecay spd -> Rule.SPD;
    };
  }

  @Override
  public double lambda() {
    return group.decay().lambda();
  }

  @Override
  public double lr() {
    return group.lr();
  }

  @Override
  public double beta1() {
    return group.beta1();
  }

  @Override
  public double beta2() {
    return group.beta2();
  }

  @Override
  public double eps() {
    return group.eps();
  }

  @Override
  public boolean maximize() {
    return group.maximize();
  }

  @Override
  public boolean frozen() {
    return group.frozen();
  }
}
