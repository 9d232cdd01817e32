package io.spd4j.bench;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.bench.Trace.Recorded;
import java.lang.foreign.MemorySegment;

/**
 * The largest relative error of a recorded array in a run. An element's error is relative to the
 * largest magnitude that the element has had in the record so far, at least a thousandth of the
 * array's root mean square: where a sum nearly cancels, the roundings of what was added remain.
 */
final class RelativeError {
  private final Trace trace;
  private final Recorded array;

  /** Per tensor and element, the largest magnitude so far. */
  private final float[][] largest;

  private double worst;

  RelativeError(Trace trace, Recorded array) {
    this.trace = trace;
    this.array = array;
    largest = new float[trace.tensors().size()][];
    for (int i = 0; i < largest.length; i++) {
      float[] init = trace.tensors().get(i).init().toArray(JAVA_FLOAT);
      largest[i] = new float[init.length];
      if (array == Recorded.PARAM) {
        grow(largest[i], init);
      }
    }
  }

  /**
   * What is allowed: a step's own roundings, and one more for each step before. In the reference
   * traces the largest error is about 8 · 2^-24, after 1 step as after 8.
   */
  static double limit(int steps) {
    return (8 + steps) * 0x1p-24;
  }

  /** Looks at a tensor after step k, counted from 0. */
  void look(int tensor, int k, StepOutput output) {
    MemorySegment actual = array.of(output);
    float[] recorded = array.of(trace.tensors().get(tensor).steps().get(k)).toArray(JAVA_FLOAT);
    float[] scale = largest[tensor];
    grow(scale, recorded);
    double floor = rms(recorded) * 1e-3;
    for (int e = 0; e < recorded.length; e++) {
      double difference = Math.abs((double) actual.getAtIndex(JAVA_FLOAT, e) - recorded[e]);
      if (difference != 0) {
        worst = Math.max(worst, difference / Math.max(floor, scale[e]));
      }
    }
  }

  /** The largest so far; NaN if there was one. */
  double worst() {
    return worst;
  }

  private static void grow(float[] largest, float[] values) {
    for (int e = 0; e < values.length; e++) {
      largest[e] = Math.max(largest[e], Math.abs(values[e]));
    }
  }

  private static double rms(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += (double) value * value;
    }
    return Math.sqrt(sum / values.length);
  }
}
