package io.spd4j.torture;

import java.util.SplittableRandom;

/** Arguments, most of them sensible, and which of them are accepted. */
record Numbers(SplittableRandom random) {
  private static final double[] ODD = {
    Double.NaN,
    Double.POSITIVE_INFINITY,
    Double.NEGATIVE_INFINITY,
    -0.0,
    0,
    -1,
    -1e-300,
    Double.MIN_VALUE,
    Float.MIN_VALUE,
    0.4 * Float.MIN_VALUE,
    0.6 * Float.MIN_VALUE,
    Float.MIN_NORMAL,
    1e-30,
    1e30,
    Float.MAX_VALUE,
    3.4028235677973366e38, // half way to infinity in float32
    Math.nextDown(3.4028235677973366e38),
    1e39,
    Double.MAX_VALUE,
    1,
    Math.nextDown(1.0),
    1 - 1e-9,
    1 - 1e-7
  };

  /** Returns a number from 0 to a maximum, or an odd one. */
  double any(double max) {
    return random.nextInt(8) == 0 ? odd() : max * random.nextDouble();
  }

  double odd() {
    return ODD[random.nextInt(ODD.length)];
  }

  static boolean isNonNegative(double x) {
    return x >= 0 && Float.isFinite((float) x);
  }

  static boolean isBeta(double x) {
    return x >= 0 && x < 1 && (float) x != 1;
  }

  static boolean isScale(double x) {
    return x > 0 && (float) x > 0 && Float.isFinite((float) x);
  }

  static boolean isMaxNorm(double x) {
    return x > 0;
  }
}
