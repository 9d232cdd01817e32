package io.spd4j;

import io.spd4j.kernel.RandomWords;
import io.spd4j.kernel.SteppedTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.ArrayList;
import java.util.List;

/**
 * Allocates the moments that the caller did not give, set to 0. They lie one after another, so
 * thousands of small tensors need only one allocation.
 */
record Moments(SegmentAllocator allocator) {
  /** Bytes of a cache line and of the widest vector. */
  private static final long ALIGNMENT = 64;

  /**
   * Returns the arrays of all parameters; those that are missing are allocated in the arena.
   *
   * @param seed of the random bits
   */
  static List<SteppedTensor> complete(ParameterGroup[] groups, Arena arena, long seed) {
    long bytes = 0;
    for (ParameterGroup g : groups) {
      for (Parameter p : g.parameters()) {
        long size = Math.ceilDiv(bytes(p), ALIGNMENT) * ALIGNMENT;
        bytes += p.expAvg() == null ? size : 0;
        bytes += p.expAvgSq() == null ? size : 0;
        bytes += g.amsgrad() && p.maxExpAvgSq() == null ? size : 0;
      }
    }
    MemorySegment all = arena.allocate(bytes, ALIGNMENT);
    return new Moments(SegmentAllocator.slicingAllocator(all)).complete(groups, seed);
  }

  /** Returns the arrays of one parameter; those that are missing are allocated in the arena. */
  static SteppedTensor complete(Parameter p, int group, boolean amsgrad, Arena arena, long seed) {
    return new Moments(arena).complete(p, group, amsgrad, seed);
  }

  private List<SteppedTensor> complete(ParameterGroup[] groups, long seed) {
    List<SteppedTensor> all = new ArrayList<>();
    for (int g = 0; g < groups.length; g++) {
      for (Parameter p : groups[g].parameters()) {
        all.add(complete(p, g, groups[g].amsgrad(), seed));
      }
    }
    return all;
  }

  private SteppedTensor complete(Parameter p, int group, boolean amsgrad, long seed) {
    return new SteppedTensor(
        group,
        p.step(),
        null,
        RandomWords.key(seed, p.name()),
        0,
        p.types(),
        p.data(),
        p.low(),
        p.gradient(),
        p.anchor(),
        orAllocated(p.expAvg(), p),
        orAllocated(p.expAvgSq(), p),
        amsgrad ? orAllocated(p.maxExpAvgSq(), p) : null);
  }

  private MemorySegment orAllocated(MemorySegment moment, Parameter p) {
    return moment != null ? moment : allocator.allocate(bytes(p), ALIGNMENT);
  }

  private static long bytes(Parameter p) {
    return p.momentType().byteSize(p.numel());
  }
}
