package io.spd4j;

/**
 * A rule that keeps the parameters of a group small, or close to where they started. Immutable; a
 * group's rule may be replaced between steps.
 */
public sealed interface DecayRule
    permits NoDecay, WeightDecay, L2SP, SelectiveProjectionDecay, CautiousDecay {
  /**
   * Returns the rule's name, by which the kernels find it: {@code none}, {@code adamw}, {@code
   * l2sp}, {@code l2sp_coupled}, {@code spd} or {@code cautious}.
   */
  String id();

  /** Returns the strength λ; 0 means plain Adam. */
  double lambda();

  /**
   * Returns this rule with another strength, for schedules.
   *
   * @param lambda λ ≥ 0; only 0 for {@link NoDecay}
   * @throws IllegalArgumentException if this is not {@link NoDecay} and lambda is negative, NaN, or
   *     infinite in float32
   * @throws UnsupportedOperationException if this is {@link NoDecay} and lambda is not 0
   */
  DecayRule withLambda(double lambda);
}
