package io.spd4j.kernel;

import static io.spd4j.kernel.TableLayout.offset;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;

/**
 * The scalars of one group at one step count: computed in double, each rounded once to float. They
 * are stored twice: in fields for Java, and in a {@code spd4j_scalars} row for native code.
 */
final class Scalars {
  private static final long BETA1 = at("beta1");
  private static final long ONE_MINUS_BETA1 = at("one_minus_beta1");
  private static final long BETA2 = at("beta2");
  private static final long ONE_MINUS_BETA2 = at("one_minus_beta2");
  private static final long EPS = at("eps");
  private static final long STEP_SIZE = at("step_size");
  private static final long INV_SQRT_BIAS2 = at("inv_sqrt_bias2");
  private static final long DECAY = at("decay");
  private static final long GRAD_SCALE = at("grad_scale");
  private static final long RULE = at("rule");
  private static final long LAMBDA = at("lambda");
  private static final long STEP = at("step");

  private final MemorySegment row;
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

  /**
   * Creates scalars that are not set yet.
   *
   * @param row a {@code spd4j_scalars}
   */
  Scalars(MemorySegment row) {
    this.row = row;
  }

  private static long at(String field) {
    return offset(TableLayout.SCALARS, field);
  }

  /**
   * Sets all scalars.
   *
   * @param gradScale multiplies every gradient
   * @param t the step count after this step: 1, 2, …
   */
  void set(Settings s, double gradScale, long t) {
    beta1 = set(BETA1, s.beta1());
    oneMinusBeta1 = set(ONE_MINUS_BETA1, 1 - s.beta1());
    beta2 = set(BETA2, s.beta2());
    oneMinusBeta2 = set(ONE_MINUS_BETA2, 1 - s.beta2());
    eps = set(EPS, s.eps());
    stepSize = set(STEP_SIZE, s.lr() / (1 - power(s.beta1(), t)));
    invSqrtBias2 = set(INV_SQRT_BIAS2, 1 / Math.sqrt(1 - power(s.beta2(), t)));
    decay = set(DECAY, s.rule().decay(s.lr(), s.lambda()));
    this.gradScale = set(GRAD_SCALE, s.maximize() ? -gradScale : gradScale);
    rule = s.rule();
    row.set(JAVA_INT, RULE, rule.ordinal());
    lambda = s.lambda();
    row.set(JAVA_DOUBLE, LAMBDA, lambda);
    step = t;
    row.set(JAVA_LONG, STEP, t);
  }

  private float set(long field, double value) {
    float rounded = (float) value;
    row.set(JAVA_FLOAT, field, rounded);
    return rounded;
  }

  /** Returns a power by repeated squaring: pow may differ in its last bit between machines. */
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
