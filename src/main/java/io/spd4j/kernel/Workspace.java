package io.spd4j.kernel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * What a thread of a Java backend works in: the lanes of a block's sums, the sums themselves, and a
 * tile once one is needed.
 */
final class Workspace {
  private static final ThreadLocal<Workspace> THREADS = ThreadLocal.withInitial(Workspace::new);

  final Lanes lanes = new Lanes();

  /** Room for lanes off the heap: a vector in it does not straddle two cache lines. */
  final MemorySegment offHeap = Arena.ofAuto().allocate(Lanes.BYTES, 64);

  /** The sums of a block, as in {@code spd4j_sums}. */
  double gradDot;

  double devSq;
  double newDevSq;
  double gradSq;

  private Tile tile;

  private Workspace() {}

  /** This thread's, its lanes 0 even after a pass that broke off. */
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
}
