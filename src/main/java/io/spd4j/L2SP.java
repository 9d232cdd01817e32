package io.spd4j;

/**
 * Decay towards the anchor θ0. Li, Grandvalet, Davoine, ICML 2018. Without an anchor θ0 is the
 * origin.
 *
 * <p>Decoupled: θ' = (θ − ηλ·(θ−θ0)) − u. Coupled, the penalty inside the loss: g + λ·(θ−θ0) takes
 * the place of g and θ' = θ − u; without an anchor this is Adam with L2.
 *
 * @param lambda λ ≥ 0
 * @param coupled whether the penalty goes through Adam's moments
 */
public record L2SP(double lambda, boolean coupled) implements DecayRule {
  /**
   * Checks λ.
   *
   * @throws IllegalArgumentException if lambda is negative, NaN or infinite
   */
  public L2SP {
    Checks.nonNegative("lambda", lambda);
  }

  /**
   * Decoupled.
   *
   * @throws IllegalArgumentException if lambda is negative, NaN or infinite
   */
  public L2SP(double lambda) {
    this(lambda, false);
  }

  @Override
  public String id() {
    return coupled ? "l2sp-coupled" : "l2sp";
  }

  @Override
  public L2SP withLambda(double lambda) {
    return new L2SP(lambda, coupled);
  }
}
