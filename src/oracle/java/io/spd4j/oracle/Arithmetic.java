package io.spd4j.oracle;

/**
 * The operations of a run in float32, followed in float64, each with the bound of what its rounding
 * and those before it may have done.
 *
 * <p>Let the run have come to x̂ where float64 has x, and |x̂ − x| ≤ e(x). Then the exact result of
 * the run's next operation is at most p from float64's result z:
 *
 * <pre>
 * x ± y    p = e(x) + e(y)
 * x·y      p = |x|·e(y) + |y|·e(x) + e(x)·e(y)
 * x / y    p = (e(x) + |x/y|·e(y)) / (the least that ŷ may be)         y > 0
 * √x       p = e(x) / (√x + √(x−e(x))), and √e(x) where e(x) ≥ x       x ≥ 0
 * x − s·(x−a)    p = |1−s|·e(x) + e(s)·D + 2u·(|s|+e(s))·D    D = |x−a| + e(x), a exact
 * </pre>
 *
 * The run rounds it to a relative u, so that
 *
 * <pre>
 * e(z) = p + u·(|z| + p) + h
 * </pre>
 *
 * where h, half the smallest subnormal, is for what underflows. Adding 0 and multiplying by ±1
 * round nothing. x − s·(x−a) is three operations: the first two round to the 2u, and of e(x)
 * remains the part 1 − s, where the rules for each operation by itself would come to 1 + s.
 *
 * @param u the unit roundoff, with room for the roundings of float64 itself
 * @param h half the smallest subnormal
 * @param max the largest finite number
 */
record Arithmetic(double u, double h, double max) {
  /** Float32; a thousandth of u is more than the roundings of float64 and of the bounds. */
  static final Arithmetic FLOAT32 = new Arithmetic(0x1.004p-24, 0x1p-150, Float.MAX_VALUE);

  /** Float32 that rounds up to twice where {@link #FLOAT32} rounds once. */
  static final Arithmetic TWICE = new Arithmetic(2 * FLOAT32.u, 2 * FLOAT32.h, Float.MAX_VALUE);

  /** Float64: what the run and what the oracle rounds. */
  static final Arithmetic FLOAT64 = new Arithmetic(0x1.004p-52, 0, Double.MAX_VALUE);

  /** z, where the run rounds what is at most p from it. */
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

  /** x / y, where the run's y is not below least and float64's is above 0, or there is no bound. */
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

  /** x − s·(x−a): x pulled towards a. */
  Bounded pulled(Bounded x, Bounded s, double a) {
    if (s.most() == 0) {
      return x;
    }
    double deviation = x.value() - a;
    double most = Math.abs(deviation) + x.error();
    double p = Math.abs(1 - s.value()) * x.error() + s.error() * most + 2 * u * s.most() * most + h;
    return rounded(x.value() - s.value() * deviation, p);
  }

  /** A setting: computed in float64, where it is off by a relative error, and rounded once. */
  Bounded setting(double x, double relative) {
    return relative == 0 && x == (float) x ? Bounded.exact(x) : rounded(x, relative * Math.abs(x));
  }
}
