package io.spd4j;

/** No decay: plain Adam. */
public record NoDecay() implements DecayRule {
  @Override
  public String id() {
    return "none";
  }

  @Override
  public double lambda() {
    return 0;
  }

  /**
   * Returns this rule, whose λ is always 0.
   *
   * @throws UnsupportedOperationException if lambda is not 0
   */
  @Override
  public NoDecay withLambda(double lambda) {
    if (lambda != 0) {
      throw new UnsupportedOperationException("lambda of NoDecay is 0, not " + lambda);
    }
    return this;
  }
}
