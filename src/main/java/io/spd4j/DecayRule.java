package io.spd4j;

/**
 * How the parameters of a group are kept small, or close to where they started. A value: a group's
 * rule may be replaced between steps.
 */
public sealed interface DecayRule permits NoDecay, WeightDecay, L2SP, SelectiveProjectionDecay {
  /**
   * The rule's name in files and on command lines: {@code none}, {@code adamw}, {@code l2sp},
   * {@code l2sp-coupled} or {@code spd}. The kernels know it by this name, too.
   */
  String id();

  /** The strength λ; 0 is plain Adam. */
  double lambda();

  /**
   * The same rule at another strength, for schedules.
   *
   * @throws IllegalArgumentException if lambda is negative, NaN or infinite
   */
  DecayRule withLambda(double lambda);
}
