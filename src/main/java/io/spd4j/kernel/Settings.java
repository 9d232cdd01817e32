package io.spd4j.kernel;

/**
 * The settings of a group of tensors. Immutable: each change makes a new record, so the same
 * reference means that nothing changed.
 *
 * @param rule the decay rule
 * @param lambda λ, the strength of the rule
 * @param lr η, the learning rate
 * @param beta1 β1, in [0, 1)
 * @param beta2 β2, in [0, 1)
 * @param eps ε
 * @param maximize whether gradients are negated
 * @param frozen whether steps leave the group alone
 */
public record Settings(
    Rule rule,
    double lambda,
    double lr,
    double beta1,
    double beta2,
    double eps,
    boolean maximize,
    boolean frozen) {
  /** The defaults of torch, without decay. */
  public static final Settings DEFAULTS =
      new Settings(Rule.ADAMW, 0, 1e-3, 0.9, 0.999, 1e-8, false, false);

  public Settings withDecay(Rule rule, double lambda) {
    return new Settings(rule, lambda, lr, beta1, beta2, eps, maximize, frozen);
  }

  public Settings withLr(double lr) {
    return new Settings(rule, lambda, lr, beta1, beta2, eps, maximize, frozen);
  }

  public Settings withBetas(double beta1, double beta2) {
    return new Settings(rule, lambda, lr, beta1, beta2, eps, maximize, frozen);
  }

  public Settings withEps(double eps) {
    return new Settings(rule, lambda, lr, beta1, beta2, eps, maximize, frozen);
  }

  public Settings withMaximize(boolean maximize) {
    return new Settings(rule, lambda, lr, beta1, beta2, eps, maximize, frozen);
  }

  public Settings withFrozen(boolean frozen) {
    return new Settings(rule, lambda, lr, beta1, beta2, eps, maximize, frozen);
  }
}
