package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** An SPD step of one tensor in plain float32, with or without a fault. */
final class FaultyStep {
  /** The faults that a step can have. */
  enum Fault {
    NONE,
    EPS_IN_THE_ROOT,
    EPS_BEFORE_THE_BIAS,
    BIAS1_OF_THE_STEP_BEFORE,
    BIAS2_OF_THE_STEP_BEFORE,
    BETA2_AS_FLOAT,
    MOMENT_NOT_WRITTEN,
    SHRINK_TOO_LARGE,
    SHRINK_NOT_CLAMPED,
    A_LANE_LOST,
    A_BLOCK_LOST,
    CONDITION_AFTER_THE_UPDATE,
    GRADIENT_OF_THE_NEIGHBOUR,
  }

  private static final int LANES = 64;
  private static final int BLOCK = 4096;

  final MemorySegment param;
  final MemorySegment expAvg;
  final MemorySegment expAvgSq;
  double condition;

  private final Fault fault;
  private final ParameterGroup group;
  private final MemorySegment anchor;
  private final int n;
  private int t;

  FaultyStep(Fault fault, ParameterGroup group, Parameter start, Arena arena) {
    this.fault = fault;
    this.group = group;
    anchor = start.anchor();
    n = (int) start.numel();
    param = arena.allocate(n * 4L, 64).copyFrom(start.data());
    expAvg = arena.allocate(n * 4L, 64);
    expAvgSq = arena.allocate(n * 4L, 64);
  }

  private boolean has(Fault other) {
    return fault == other;
  }

  void step(MemorySegment gradient) {
    t++;
    float beta1 = (float) group.beta1();
    float beta2 = (float) group.beta2();
    float oneMinusBeta1 = (float) (1 - group.beta1());
    float oneMinusBeta2 =
        has(Fault.BETA2_AS_FLOAT) ? 1 - (float) group.beta2() : (float) (1 - group.beta2());
    float eps = (float) group.eps();
    int t1 = has(Fault.BIAS1_OF_THE_STEP_BEFORE) ? Math.max(1, t - 1) : t;
    int t2 = has(Fault.BIAS2_OF_THE_STEP_BEFORE) ? Math.max(1, t - 1) : t;
    float stepSize = (float) (group.lr() / (1 - power(group.beta1(), t1)));
    float invSqrtBias2 = (float) (1 / Math.sqrt(1 - power(group.beta2(), t2)));
    double[] sums = new double[3];
    float[][] lanes = new float[3][LANES];
    for (int i = 0; i < n; i++) {
      float theta = get(param, i);
      float dev = theta - get(anchor, i);
      float g = get(gradient, has(Fault.GRADIENT_OF_THE_NEIGHBOUR) ? (i + 1) % n : i);
      float m = beta1 * get(expAvg, i) + oneMinusBeta1 * g;
      float v = beta2 * get(expAvgSq, i) + oneMinusBeta2 * g * g;
      float root = (float) Math.sqrt(v);
      float divisor =
          switch (fault) {
            case EPS_IN_THE_ROOT -> (float) Math.sqrt(v + eps) * invSqrtBias2;
            case EPS_BEFORE_THE_BIAS -> (root + eps) * invSqrtBias2;
            default -> root * invSqrtBias2 + eps;
          };
      float updated = theta - stepSize * m / divisor;
      set(param, i, updated);
      if (i != n - 1 || !has(Fault.MOMENT_NOT_WRITTEN)) {
        set(expAvg, i, m);
      }
      set(expAvgSq, i, v);
      float newDev = updated - get(anchor, i);
      int lane = i % LANES;
      lanes[0][lane] += g * (has(Fault.CONDITION_AFTER_THE_UPDATE) ? newDev : dev);
      if (lane != 5 || !has(Fault.A_LANE_LOST)) {
        lanes[1][lane] += dev * dev;
        lanes[2][lane] += newDev * newDev;
      }
      if ((i + 1) % BLOCK == 0 || i == n - 1 && !has(Fault.A_BLOCK_LOST)) {
        for (int k = 0; k < sums.length; k++) {
          sums[k] += folded(lanes[k]);
          lanes[k] = new float[LANES];
        }
      }
    }
    condition = -sums[0];
    if (condition < 0) {
      project(Math.sqrt(sums[1]), Math.sqrt(sums[2]));
    }
  }

  private void project(double before, double updated) {
    double r = (updated - before) / updated;
    if (!has(Fault.SHRINK_NOT_CLAMPED)) {
      r = Math.clamp(r, 0, 1);
    }
    float shrink = (float) (group.decay().lambda() * r);
    if (has(Fault.SHRINK_TOO_LARGE)) {
      shrink *= 1.0001f;
    }
    for (int i = 0; i < n; i++) {
      set(param, i, get(param, i) - shrink * (get(param, i) - get(anchor, i)));
    }
  }

  private static float folded(float[] lanes) {
    for (int width = LANES / 2; width > 0; width /= 2) {
      for (int lane = 0; lane < width; lane++) {
        lanes[lane] += lanes[lane + width];
      }
    }
    return lanes[0];
  }

  private static double power(double base, int exponent) {
    double result = 1;
    for (; exponent > 0; exponent >>= 1) {
      result *= (exponent & 1) != 0 ? base : 1;
      base *= base;
    }
    return result;
  }

  private static float get(MemorySegment floats, int i) {
    return floats.getAtIndex(JAVA_FLOAT, i);
  }

  private static void set(MemorySegment floats, int i, float value) {
    floats.setAtIndex(JAVA_FLOAT, i, value);
  }
}
