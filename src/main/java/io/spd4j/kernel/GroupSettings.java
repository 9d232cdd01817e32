package io.spd4j.kernel;

/**
 * The settings of a group of tensors as they are at the moment: they may change between two steps.
 */
public interface GroupSettings {
  /** The decay rule. */
  Rule rule();

  /** λ, the strength of the rule. */
  double lambda();

  /** η. */
  double lr();

  /** β1, in [0, 1). */
  double beta1();

  /** β2, in [0, 1). */
  double beta2();

  /** ε. */
  double eps();

  /** Whether gradients are negated. */
  boolean maximize();

  /** Whether steps leave the group alone. */
  boolean frozen();
}
