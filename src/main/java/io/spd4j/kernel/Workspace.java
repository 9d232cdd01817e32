package io.spd4j.kernel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Working memory of a thread of a Java backend: the lanes of a block's sums, the sums themselves,
 * and more once it is needed.
 */
final class Workspace {
  private static final ThreadLocal<Workspace> THREADS = ThreadLocal.withInitial(Workspace::new);

  final Lanes lanes = new Lanes();

  /** Off-heap memory for lanes, aligned so that no vector straddles two cache lines. */
  final MemorySegment offHeap = Arena.ofAuto().allocate(Lanes.BYTES, 64);

  /** The sums of a block, as in {@code spd4j_sums}. */
  double gradDot;

  double devSq;
  double newDevSq;
  double gradSq;

  private Tile tile;
  private VectorArrays arrays;

  private Workspace() {}

  /** Returns this thread's workspace. Its lanes are 0 even after a pass that broke off. */
  static Workspace ofThread() {
    Workspace workspace = THREADS.get();
    workspace.lanes.clear();
    workspace.offHeap.fill((byte) 0);
    return workspace;
  }

  Tile tile() {
    if (tile == null) {
      tile = new Tile();
    }
    return tile;
  }

  VectorArrays arrays() {
    if (arrays == null) {
      arrays = new VectorArrays();
    }
    return arrays;
  }
}
