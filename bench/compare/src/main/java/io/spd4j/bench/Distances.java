package io.spd4j.bench;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.bench.Trace.Recorded;
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.Map;
import java.util.function.Function;
import java.util.function.IntToDoubleFunction;

/**
 * How far one run of a trace drifts from another: the largest relative distance in each array. An
 * element's distance is divided by the largest magnitude that the element has had in the other run
 * so far, or by a thousandth of the array's root mean square if that is larger: where a sum nearly
 * cancels, the rounding errors of its terms remain.
 */
final class Distances {
  private final Map<Recorded, double[][]> largest = new EnumMap<>(Recorded.class);
  private final Map<Recorded, Double> worst = new EnumMap<>(Recorded.class);
  private final Map<Recorded, Double> worstRms = new EnumMap<>(Recorded.class);
  private final boolean[] apart;

  Distances(Trace trace) {
    int tensors = trace.tensors().size();
    apart = new boolean[tensors];
    for (Recorded array : Recorded.values()) {
      worst.put(array, 0.0);
      worstRms.put(array, 0.0);
      double[][] magnitudes = new double[tensors][];
      for (int i = 0; i < tensors; i++) {
        MemorySegment init = trace.tensors().get(i).init();
        magnitudes[i] = new double[Math.toIntExact(init.byteSize() / Float.BYTES)];
        if (array == Recorded.PARAM) {
          grow(magnitudes[i], element -> init.getAtIndex(JAVA_FLOAT, element));
        }
      }
      largest.put(array, magnitudes);
    }
  }

  /**
   * Compares a tensor after a step. A tensor no longer counts once the two runs have decided
   * differently about it.
   *
   * @param other returns the elements of an array of the other run
   */
  void look(
      int tensor,
      StepOutput output,
      boolean otherSelected,
      Function<Recorded, IntToDoubleFunction> other) {
    apart[tensor] |= output.selected() != otherSelected;
    if (!apart[tensor]) {
      for (Recorded array : Recorded.values()) {
        double distance = largest(array.of(output), other.apply(array), largest.get(array)[tensor]);
        worst.merge(array, distance, Math::max);
        worstRms.merge(array, rmsDistance(array.of(output), other.apply(array)), Math::max);
      }
    }
  }

  /** Returns the root mean square of the differences, relative to that of the other's values. */
  private static double rmsDistance(MemorySegment floats, IntToDoubleFunction other) {
    int length = Math.toIntExact(floats.byteSize() / Float.BYTES);
    double scale = rms(other, length);
    double distance = rms(e -> floats.getAtIndex(JAVA_FLOAT, e) - other.applyAsDouble(e), length);
    return distance == 0 ? 0 : distance / scale;
  }

  private static double largest(MemorySegment floats, IntToDoubleFunction other, double[] scale) {
    grow(scale, other);
    double floor = rms(other, scale.length) * 1e-3;
    double largest = 0;
    for (int e = 0; e < scale.length; e++) {
      double distance = Math.abs(floats.getAtIndex(JAVA_FLOAT, e) - other.applyAsDouble(e));
      if (distance != 0) {
        largest = Math.max(largest, distance / Math.max(floor, scale[e]));
      }
    }
    return largest;
  }

  /** Returns the number of tensors that no longer count. */
  int apart() {
    int count = 0;
    for (boolean tensor : apart) {
      count += tensor ? 1 : 0;
    }
    return count;
  }

  /** Returns the largest distance so far; NaN if a distance was NaN. */
  double worst(Recorded array) {
    return worst.get(array);
  }

  /** Returns the largest so far of the distances of whole arrays, in root mean squares. */
  double worstRms(Recorded array) {
    return worstRms.get(array);
  }

  private static void grow(double[] largest, IntToDoubleFunction values) {
    for (int e = 0; e < largest.length; e++) {
      largest[e] = Math.max(largest[e], Math.abs(values.applyAsDouble(e)));
    }
  }

  private static double rms(IntToDoubleFunction values, int length) {
    double sum = 0;
    for (int e = 0; e < length; e++) {
      sum += values.applyAsDouble(e) * values.applyAsDouble(e);
    }
    return Math.sqrt(sum / length);
  }
}
