package io.spd4j;

/**
 * Selective Projection Decay: a tensor is pulled back towards its anchor θ0 only in the steps in
 * which its descent direction and its deviation disagree. Tian, Huang, Kira, "Rethinking Weight
 * Decay for Robust Fine-Tuning of Foundation Models", NeurIPS 2024 (arXiv 2411.01713).
 *
 * <p>θ̃ = θ − u; c = −Σ g·(θ−θ0); r = (‖θ̃−θ0‖ − ‖θ−θ0‖) / ‖θ̃−θ0‖ within [0, 1]; where c &lt; 0:
 * θ' = θ̃ − λ·r·(θ̃−θ0). λ is not multiplied by the learning rate, as in the authors' code: λ = 1
 * puts a selected tensor back on the sphere of its previous deviation. Without an anchor θ0 is the
 * origin, with no memory spent on it: the case of LoRA and other adapters.
 *
 * <p>On a smooth trajectory c stays positive and nothing is projected: by design, not by mistake.
 * {@link Adam#spdReport(Parameter)} tells what happened.
 *
 * @param lambda λ ≥ 0, usually 0.1 to 2; not a learning-rate-scaled weight decay
 */
public record SelectiveProjectionDecay(double lambda) implements DecayRule {
  /**
   * Checks λ.
   *
   * @throws IllegalArgumentException if lambda is negative, NaN or infinite
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
