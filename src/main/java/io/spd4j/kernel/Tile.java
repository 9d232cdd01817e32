package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * A stretch of a tensor's arrays, copied to the heap for plain Java: C2 compiles loops over heap
 * arrays to fast code from the start. In loops over a caller's segments it hoists the check for a
 * confined arena's owner if the program's other segments had one, compiles again if that was wrong,
 * and is wrong a hundred times.
 */
final class Tile {
  /** The most elements, a multiple of {@link BlockTable#LANES}: all arrays together fit into L1. */
  static final int LENGTH = 1024;

  final float[] param = new float[LENGTH];
  final float[] grad = new float[LENGTH];
  final float[] anchor = new float[LENGTH];
  final float[] expAvg = new float[LENGTH];
  final float[] expAvgSq = new float[LENGTH];
  final float[] maxExpAvgSq = new float[LENGTH];

  /** Deviations from the anchor, before the update. */
  final float[] dev = new float[LENGTH];

  /**
   * Reads n elements of a tensor.
   *
   * @param anchored whether to read the anchor; otherwise it is 0
   */
  void read(SteppedTensor a, long begin, int n, boolean anchored) {
    read(a.param(), begin, param, n);
    read(a.grad(), begin, grad, n);
    read(anchored ? a.anchor() : null, begin, anchor, n);
    read(a.expAvg(), begin, expAvg, n);
    read(a.expAvgSq(), begin, expAvgSq, n);
    if (a.maxExpAvgSq() != null) {
      read(a.maxExpAvgSq(), begin, maxExpAvgSq, n);
    }
  }

  /** Writes n elements of the arrays that an update changes. */
  void write(SteppedTensor a, long begin, int n) {
    write(param, a.param(), begin, n);
    write(expAvg, a.expAvg(), begin, n);
    write(expAvgSq, a.expAvgSq(), begin, n);
    if (a.maxExpAvgSq() != null) {
      write(maxExpAvgSq, a.maxExpAvgSq(), begin, n);
    }
  }

  /** Reads n elements of an array; zeros if it is null (an anchor at the origin). */
  static void read(MemorySegment array, long begin, float[] tile, int n) {
    if (array == null) {
      Arrays.fill(tile, 0, n, 0);
    } else {
      MemorySegment.copy(array, JAVA_FLOAT, begin * Float.BYTES, tile, 0, n);
    }
  }

  /** Writes n elements to an array. */
  static void write(float[] tile, MemorySegment array, long begin, int n) {
    MemorySegment.copy(tile, 0, array, JAVA_FLOAT, begin * Float.BYTES, n);
  }
}
