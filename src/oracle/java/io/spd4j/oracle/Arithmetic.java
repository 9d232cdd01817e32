package io.spd4j.oracle;

/**
 * The operations of a float32 run, repeated in float64. Each result has a bound on the error that
 * its own rounding and those before it may have caused.
 *
 * <p>Let the run have x̂ where float64 has x, with |x̂ − x| ≤ e(x). Then the exact result of the
 * run's next operation is at most p away from float64's result z:
 *
 * <pre>
 * x ± y    p = e(x) + e(y)
 * x·y      p = |x|·e(y) + |y|·e(x) + e(x)·e(y)
 * x / y    p = (e(x) + |x/y|·e(y)) / (the least that ŷ may be)         y > 0
 * √x       p = e(x) / (√x + √(x−e(x))), and √e(x) where e(x) ≥ x       x ≥ 0
 * x − s·(x−a)    p = |1−s|·e(x) + e(s)·D + 2u·(|s|+e(s))·D    D = |x−a| + e(x), a exact
 * </pre>
 *
 * The run rounds that result with a relative error of at most u, so that
 *
 * <pre>
 * e(z) = p + u·(|z| + p) + h
 * </pre>
 *
 * where h, half the smallest subnormal, covers underflow. Adding 0 and multiplying by ±1 round
 * nothing. x − s·(x−a) is three operations. The roundings of the first two give the 2u. A fraction
 * 1 − s of e(x) remains; the rules for each operation by itself would give 1 + s.
 *
 * @param u the unit roundoff, with room for the roundings of float64 itself
 * @param h half the smallest subnormal
 * @param max the largest finite number
 */
record Arithmetic(double u, double h, double max) {
  /** Float32; the room in u, a thousandth, exceeds the roundings of float64 and of the bounds. */
  static final Arithmetic FLOAT32 = new Arithmetic(0x1.004p-24, 0x1p-150, Float.MAX_VALUE);

  /** Float32 that rounds up to twice where {@link #FLOAT32} rounds once. */
  static final Arithmetic TWICE = new Arithmetic(2 * FLOAT32.u, 2 * FLOAT32.h, Float.MAX_VALUE);

  /** Float64: the roundings of the run and of the oracle. */
  static final Arithmetic FLOAT64 = new Arithmetic(0x1.004p-52, 0, Double.MAX_VALUE);

  /** Returns z with its bound, where the run rounds a number that is at most p away from z. */
  Bounded rounded(double z, double p) {
    double most = Math.abs(z) + p;
    if (most == 0) {
      return Bounded.ZERO;
    }
    double error = p + u * most + h;
    return new Bounded(z, Math.abs(z) + error <= max ? error : Double.POSITIVE_INFINITY);
  }

  Bounded add(Bounded x, Bounded y) {
    if (x.most() == 0 || y.most() == 0) {
      return x.most() == 0 ? y : x;
    }
    return rounded(x.value() + y.value(), x.error() + y.error());
  }

  Bounded sub(Bounded x, Bounded y) {
    return add(x, new Bounded(-y.value(), y.error()));
  }

  Bounded mul(Bounded x, Bounded y) {
    double p =
        Math.abs(x.value()) * y.error() + Math.abs(y.value()) * x.error() + x.error() * y.error();
    double z = x.value() * y.value();
    return isUnit(x) || isUnit(y) ? new Bounded(z, p) : rounded(z, p);
  }

  private static boolean isUnit(Bounded x) {
    return Math.abs(x.value()) == 1 && x.error() == 0;
  }

  /** Returns x / y. The run's y must not be below least. There is no bound if y may be 0. */
  Bounded div(Bounded x, Bounded y, double least) {
    double z = x.value() / y.value();
    double p =
        (x.error() + Math.abs(z) * y.error()) / Math.max(0, Math.max(least, y.value() - y.error()));
    return rounded(z, p);
  }

  Bounded sqrt(Bounded x) {
    double root = Math.sqrt(x.value());
    double p =
        x.error() < x.value()
            ? x.error() / (root + Math.sqrt(x.value() - x.error()))
            : Math.sqrt(x.error());
    return rounded(root, p);
  }

  /** Returns x − s·(x−a): x pulled towards a. */
  Bounded pulled(Bounded x, Bounded s, double a) {
    if (s.most() == 0) {
      return x;
    }
    double deviation = x.value() - a;
    double most = Math.abs(deviation) + x.error();
    double p = Math.abs(1 - s.value()) * x.error() + s.error() * most + 2 * u * s.most() * most + h;
    return rounded(x.value() - s.value() * deviation, p);
  }

  /** Returns a setting that was computed in float64 with a relative error and then rounded once. */
  Bounded setting(double x, double relative) {
    return relative == 0 && x == (float) x ? Bounded.exact(x) : rounded(x, relative * Math.abs(x));
  }
}
