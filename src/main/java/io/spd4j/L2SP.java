package io.spd4j;

/**
 * Decay towards the anchor θ0, or towards the origin if there is no anchor. Li, Grandvalet,
 * Davoine, ICML 2018.
 *
 * <p>Decoupled: θ' = (θ − ηλ·(θ−θ0)) − u, where η is the learning rate and u Adam's update.
 * Coupled, the penalty is part of the loss: g + λ·(θ−θ0) replaces the gradient g, and θ' = θ − u.
 * Coupled and without an anchor, it is Adam with an L2 penalty.
 *
 * @param lambda λ ≥ 0
 * @param coupled whether the penalty goes through Adam's moments
 */
public record L2SP(double lambda, boolean coupled) implements DecayRule {
  /**
   * Checks λ.
   *
   * @throws IllegalArgumentException if lambda is negative, NaN, or infinite in float32
   */
  public L2SP {
    Checks.nonNegative("lambda", lambda);
  }

  /**
   * Creates a decoupled rule.
   *
   * @throws IllegalArgumentException if lambda is negative, NaN, or infinite in float32
   */
  public L2SP(double lambda) {
    this(lambda, false);
  }

  @Override
  public String id() {
    return coupled ? "l2sp_coupled" : "l2sp";
  }

  @Override
  public L2SP withLambda(double lambda) {
    return new L2SP(lambda, coupled);
  }
}
