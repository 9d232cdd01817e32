package io.spd4j.oracle;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** An array of {@link Bounded} numbers. */
public final class BoundedArray {
  private final double[] values;
  private final double[] errors;

  /** Makes an array of zeros. */
  BoundedArray(int length) {
    values = new double[length];
    errors = new double[length];
  }

  public Bounded get(int index) {
    return new Bounded(values[index], errors[index]);
  }

  void set(int index, Bounded x) {
    values[index] = x.value();
    errors[index] = x.error();
  }

  /** Returns the largest {@link Bounded#part} of the floats that a run computed for this array. */
  public double part(MemorySegment computed) {
    double worst = 0;
    for (int i = 0; i < values.length; i++) {
      worst = Math.max(worst, get(i).part(computed.getAtIndex(ValueLayout.JAVA_FLOAT, i)));
    }
    return worst;
  }

  /** Returns how many numbers have no bound. */
  public long unbounded() {
    return Arrays.stream(errors).filter(e -> !Double.isFinite(e)).count();
  }
}
