package io.spd4j.oracle;

/**
 * A number that float64 computed, and how far from it the same computation in float32 may come out.
 *
 * @param value what float64 computed
 * @param error the bound, 0 if both are sure to be equal; infinite or NaN where there is none,
 *     since float32 overflows or what it divides by may be 0
 */
public record Bounded(double value, double error) {
  static final Bounded ZERO = new Bounded(0, 0);

  /** A number that both have. */
  static Bounded exact(double value) {
    return new Bounded(value, 0);
  }

  /** The largest magnitude that float32 may come to. */
  double most() {
    return Math.abs(value) + error;
  }

  /**
   * How far a number that was computed in float32 is from this one, as a part of how far it may be:
   * at most 1 if it is right, infinite for NaN. 0 where there is no bound.
   */
  public double part(double computed) {
    double distance = Math.abs(computed - value);
    if (distance == 0 || !Double.isFinite(error)) {
      return 0;
    }
    return Double.isNaN(distance) ? Double.POSITIVE_INFINITY : distance / error;
  }
}
