package io.spd4j.kernel;

/**
 * The scalars of one group at one step count: computed in double, each rounded once to float. A row
 * of {@link BlockTable}, allocated once and written anew for every step.
 */
final class Scalars {
  Rule rule = Rule.ADAMW;
  double lambda;
  long step;
  float beta1;
  float oneMinusBeta1;
  float beta2;
  float oneMinusBeta2;
  float eps;
  float stepSize;
  float invSqrtBias2;
  float decay;
  float gradScale;

  /** The scalars of the step that is a tensor's t-th: 1, 2, … */
  void set(GroupSettings group, double gradScale, long t) {
    rule = group.rule();
    lambda = group.lambda();
    step = t;
    beta1 = (float) group.beta1();
    oneMinusBeta1 = (float) (1 - group.beta1());
    beta2 = (float) group.beta2();
    oneMinusBeta2 = (float) (1 - group.beta2());
    eps = (float) group.eps();
    stepSize = (float) (group.lr() / (1 - power(group.beta1(), t)));
    invSqrtBias2 = (float) (1 / Math.sqrt(1 - power(group.beta2(), t)));
    decay =
        switch (rule) {
          case ADAMW -> (float) (1 - group.lr() * lambda);
          case L2SP -> (float) (group.lr() * lambda);
          case L2SP_COUPLED -> (float) lambda;
          case SPD -> 0;
        };
    this.gradScale = (float) (group.maximize() ? -gradScale : gradScale);
  }

  /** By repeated squaring, because pow may differ in its last bit between machines. */
  static double power(double base, long exponent) {
    double result = 1;
    for (; exponent > 0; exponent >>= 1) {
      if ((exponent & 1) != 0) {
        result *= base;
      }
      base *= base;
    }
    return result;
  }
}
