package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * What a thread of a Java backend works in: the lanes of a block's sums, in the order of the
 * numerics contract, and a tile, a stretch of a tensor's arrays on the heap.
 *
 * <p>Plain Java computes in the tile because C2 then compiles it to fast code from the start. In
 * loops over a caller's segments it hoists the check for a confined arena's owner where that is
 * what the program's other segments had, compiles again if it was wrong, and is so a hundred times.
 */
final class Workspace {
  /** Elements of a tile, in rows of {@link BlockTable#LANES}: all arrays together fit into L1. */
  static final int TILE = 1024;

  private static final ThreadLocal<Workspace> THREADS = ThreadLocal.withInitial(Workspace::new);

  final float[] param = new float[TILE];
  final float[] grad = new float[TILE];
  final float[] anchor = new float[TILE];
  final float[] expAvg = new float[TILE];
  final float[] expAvgSq = new float[TILE];
  final float[] maxExpAvgSq = new float[TILE];

  /** Deviations from the anchor, before the update. */
  final float[] dev = new float[TILE];

  final Lanes lanes = new Lanes();

  /** Room for lanes off the heap: a vector in it does not straddle two cache lines. */
  final MemorySegment offHeap = Arena.ofAuto().allocate(Lanes.BYTES, 64);

  private Workspace() {}

  /** This thread's, its lanes 0 even after a pass that broke off. */
  static Workspace ofThread() {
    Workspace workspace = THREADS.get();
    workspace.lanes.clear();
    workspace.offHeap.fill((byte) 0);
    return workspace;
  }

  /** Reads n elements of a tensor into the tile. */
  void read(TensorArrays a, long begin, int n) {
    read(a.param(), begin, param, n);
    read(a.grad(), begin, grad, n);
    read(a.anchor(), begin, anchor, n);
    read(a.expAvg(), begin, expAvg, n);
    read(a.expAvgSq(), begin, expAvgSq, n);
    if (a.maxExpAvgSq() != null) {
      read(a.maxExpAvgSq(), begin, maxExpAvgSq, n);
    }
  }

  /** Writes what an update changed of n elements of a tensor. */
  void write(TensorArrays a, long begin, int n) {
    write(param, a.param(), begin, n);
    write(expAvg, a.expAvg(), begin, n);
    write(expAvgSq, a.expAvgSq(), begin, n);
    if (a.maxExpAvgSq() != null) {
      write(maxExpAvgSq, a.maxExpAvgSq(), begin, n);
    }
  }

  /** Reads n elements of an array; of no array (null, an anchor at the origin) zeros. */
  static void read(MemorySegment array, long begin, float[] tile, int n) {
    if (array == null) {
      Arrays.fill(tile, 0, n, 0);
    } else {
      MemorySegment.copy(array, JAVA_FLOAT, begin * Float.BYTES, tile, 0, n);
    }
  }

  /** Writes n elements of an array. */
  static void write(float[] tile, MemorySegment array, long begin, int n) {
    MemorySegment.copy(tile, 0, array, JAVA_FLOAT, begin * Float.BYTES, n);
  }
}
