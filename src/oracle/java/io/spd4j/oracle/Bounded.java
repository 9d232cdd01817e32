package io.spd4j.oracle;

/**
 * A number that float64 computed, and a bound on how far a float32 run may be from it.
 *
 * @param value what float64 computed
 * @param error the bound, 0 if both are sure to be equal; infinite or NaN if there is none, because
 *     float32 may overflow or divide by 0
 */
public record Bounded(double value, double error) {
  static final Bounded ZERO = new Bounded(0, 0);

  /** Returns a number that is the same in both computations. */
  static Bounded exact(double value) {
    return new Bounded(value, 0);
  }

  /** Returns the largest magnitude that float32 may compute. */
  double most() {
    return Math.abs(value) + error;
  }

  /** Returns whether float32 is sure to have the same sign, or 0 if this is 0. */
  boolean hasSign() {
    return error == 0 || Math.abs(value) > error;
  }

  /**
   * Returns how far a number that was computed in float32 is from this one, as a fraction of the
   * bound: at most 1 if it is right, infinite for NaN, 0 if there is no bound.
   */
  public double part(double computed) {
    double distance = Math.abs(computed - value);
    if (distance == 0 || !Double.isFinite(error)) {
      return 0;
    }
    return Double.isNaN(distance) ? Double.POSITIVE_INFINITY : distance / error;
  }
}
