package io.spd4j;

/**
 * Cautious weight decay: an element decays towards its anchor θ0 unless the step moves it the other
 * way. Chen et al., "Cautious Weight Decay", 2025 (arXiv 2510.12402); the paper decays towards the
 * origin, as this rule does if there is no anchor.
 *
 * <p>θ' = θ − u where Adam's update u and the deviation θ−θ0 have opposed signs, and θ' = (θ −
 * ηλ·(θ−θ0)) − u elsewhere, where η is the learning rate. It needs no memory beyond Adam's moments.
 *
 * @param lambda λ ≥ 0; the λ of {@link WeightDecay} or {@link L2SP} is a good start
 */
public record CautiousDecay(double lambda) implements DecayRule {
  /**
   * Checks λ.
   *
   * @throws IllegalArgumentException if lambda is negative, NaN, or infinite in float32
   */
  public CautiousDecay {
    Checks.nonNegative("lambda", lambda);
  }

  @Override
  public String id() {
    return "cautious";
  }

  @Override
  public CautiousDecay withLambda(double lambda) {
    return new CautiousDecay(lambda);
  }
}
