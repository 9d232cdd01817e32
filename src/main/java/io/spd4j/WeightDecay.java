package io.spd4j;

/**
 * Decoupled weight decay, AdamW: θ' = θ·(1−ηλ) − u, where η is the learning rate and u Adam's
 * update. Loshchilov, Hutter, ICLR 2019. Anchors are not read.
 *
 * @param lambda λ ≥ 0; torch's {@code weight_decay}, usually 0.01 to 0.1
 */
public record WeightDecay(double lambda) implements DecayRule {
  /**
   * Checks λ.
   *
   * @throws IllegalArgumentException if lambda is negative, NaN, or infinite in float32
   */
  public WeightDecay {
    Checks.nonNegative("lambda", lambda);
  }

  @Override
  public String id() {
    return "adamw";
  }

  @Override
  public WeightDecay withLambda(double lambda) {
    return new WeightDecay(lambda);
  }
}
