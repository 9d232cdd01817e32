package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The lanes in which a thread of a Java backend sums up a block, in the order of the numerics
 * contract: element i of a block goes to lane i mod {@link BlockTable#LANES}; the lanes meet in
 * halves: lane l takes lane l + width, for width = LANES/2, …, 2, 1.
 *
 * <p>They lie off the heap because a vector must not straddle two cache lines: a load could then
 * not be served from the store before it.
 */
final class Lanes {
  private static final int LANES = BlockTable.LANES;

  /** Room for the three sums of SPD in float, or for one in double; a thread allocates it once. */
  private static final ThreadLocal<MemorySegment> THREADS =
      ThreadLocal.withInitial(() -> Arena.ofAuto().allocate(3L * LANES * Float.BYTES, 64));

  private Lanes() {}

  /**
   * This thread's lanes, 0 even after a pass that broke off: three sets of floats, or one of
   * doubles.
   */
  static MemorySegment ofThread() {
    return THREADS.get().fill((byte) 0);
  }

  /** Adds to a lane of a set of float lanes. */
  static void add(MemorySegment lanes, int set, int lane, float x) {
    long at = (long) (set * LANES + lane) * Float.BYTES;
    lanes.set(JAVA_FLOAT, at, lanes.get(JAVA_FLOAT, at) + x);
  }

  /** Adds to a double lane. */
  static void add(MemorySegment lanes, int lane, double x) {
    long at = (long) lane * Double.BYTES;
    lanes.set(JAVA_DOUBLE, at, lanes.get(JAVA_DOUBLE, at) + x);
  }

  /** The sum of a set of float lanes. */
  static double fold(MemorySegment lanes, int set) {
    for (int width = LANES / 2; width > 0; width /= 2) {
      for (int lane = 0; lane < width; lane++) {
        long other = (long) (set * LANES + lane + width) * Float.BYTES;
        add(lanes, set, lane, lanes.get(JAVA_FLOAT, other));
      }
    }
    return lanes.get(JAVA_FLOAT, (long) set * LANES * Float.BYTES);
  }

  /** The sum of the double lanes. */
  static double fold(MemorySegment lanes) {
    for (int width = LANES / 2; width > 0; width /= 2) {
      for (int lane = 0; lane < width; lane++) {
        add(lanes, lane, lanes.get(JAVA_DOUBLE, (long) (lane + width) * Double.BYTES));
      }
    }
    return lanes.get(JAVA_DOUBLE, 0);
  }
}
