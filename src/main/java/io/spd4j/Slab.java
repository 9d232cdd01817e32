package io.spd4j;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.stream.LongStream;

/**
 * One allocation of zeros for many arrays that lie one after another, so thousands of small ones
 * need only one.
 */
final class Slab {
  /** Bytes of a cache line and of the widest vector: each array starts at a multiple of them. */
  private static final long ALIGNMENT = 64;

  private final SegmentAllocator arrays;

  private Slab(SegmentAllocator arrays) {
    this.arrays = arrays;
  }

  /**
   * Allocates memory for arrays.
   *
   * @param bytes of each array
   * @throws OutOfMemoryError if there is no memory, or not even a long for the size
   */
  static Slab of(Arena arena, LongStream bytes) {
    long total = total(bytes);
    return new Slab(
        total == 0 ? arena : SegmentAllocator.slicingAllocator(arena.allocate(total, ALIGNMENT)));
  }

  private static long total(LongStream bytes) {
    try {
      long total =
          bytes
              .map(size -> Math.multiplyExact(Math.ceilDiv(size, ALIGNMENT), ALIGNMENT))
              .reduce(0, Math::addExact);
      Math.addExact(total, ALIGNMENT); // the allocator may add as much
      return total;
    } catch (ArithmeticException e) {
      throw new OutOfMemoryError("arrays of 2^63 bytes or more");
    }
  }

  /** Returns the next array. */
  MemorySegment array(long bytes) {
    return arrays.allocate(bytes, ALIGNMENT);
  }
}
