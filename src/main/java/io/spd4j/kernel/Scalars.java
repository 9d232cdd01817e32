package io.spd4j.kernel;

/**
 * The scalars of one group at one step count: computed in double, each rounded once to float. A row
 * of {@link BlockTable}, allocated once and written anew for every step.
 */
final class Scalars {
  Rule rule = Rule.ADAMW;
  double lambda;
  float beta1;
  float oneMinusBeta1;
  float beta2;
  float oneMinusBeta2;
  float eps;
  float stepSize;
  float invSqrtBias2;
  float decay;
  float gradScale;

  /** Powers are StrictMath's, because Math.pow may differ in its last bit between machines. */
  void set(
      Rule rule,
      double lr,
      double beta1,
      double beta2,
      double eps,
      double lambda,
      double gradScale,
      long t) {
    this.rule = rule;
    this.lambda = lambda;
    this.beta1 = (float) beta1;
    this.oneMinusBeta1 = (float) (1 - beta1);
    this.beta2 = (float) beta2;
    this.oneMinusBeta2 = (float) (1 - beta2);
    this.eps = (float) eps;
    this.stepSize = (float) (lr / (1 - StrictMath.pow(beta1, t)));
    this.invSqrtBias2 = (float) (1 / Math.sqrt(1 - StrictMath.pow(beta2, t)));
    this.decay =
        switch (rule) {
          case ADAMW -> (float) (1 - lr * lambda);
          case L2SP -> (float) (lr * lambda);
          case L2SP_COUPLED -> (float) lambda;
          case SPD -> 0;
        };
    this.gradScale = (float) gradScale;
  }
}
