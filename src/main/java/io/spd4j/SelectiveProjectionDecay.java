package io.spd4j;

/**
 * Selective Projection Decay: pulls a tensor back towards its anchor θ0, but only in steps in which
 * its descent direction and its deviation disagree. Tian, Huang, Kira, "Rethinking Weight Decay for
 * Robust Fine-Tuning of Foundation Models", NeurIPS 2024 (arXiv 2411.01713).
 *
 * <p>θ̃ = θ − u, where u is Adam's update; c = −Σ g·(θ−θ0); r = (‖θ̃−θ0‖ − ‖θ−θ0‖) / ‖θ̃−θ0‖,
 * clamped to [0, 1]. If c &lt; 0, the tensor is selected: θ' = θ̃ − λ·r·(θ̃−θ0). As in the authors'
 * code, λ is not multiplied by the learning rate: λ = 1 puts a selected tensor back on the sphere
 * of its previous deviation. Without an anchor θ0 is the origin and takes no memory, as for LoRA
 * and other adapters.
 *
 * <p>On a smooth trajectory c stays positive and nothing is projected: that is the method, not a
 * fault. {@link Adam#spdReport(Parameter)} tells what happened.
 *
 * @param lambda λ ≥ 0, usually 0.1 to 2; unlike a weight decay, it is not scaled by the learning
 *     rate
 */
public record SelectiveProjectionDecay(double lambda) implements DecayRule {
  /**
   * Checks λ.
   *
   * @throws IllegalArgumentException if lambda is negative, NaN, or infinite in float32
   */
  public SelectiveProjectionDecay {
    Checks.nonNegative("lambda", lambda);
  }

  @Override
  public String id() {
    return "spd";
  }

  @Override
  public SelectiveProjectionDecay withLambda(double lambda) {
    return new SelectiveProjectionDecay(lambda);
  }
}
