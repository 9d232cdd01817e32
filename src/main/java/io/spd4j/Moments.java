package io.spd4j;

import io.spd4j.kernel.RandomWords;
import io.spd4j.kernel.Shards;
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
   * @param shards which elements this process steps, by parameter; null for all
   */
  static List<SteppedTensor> complete(
      ParameterGroup[] groups, Arena arena, long seed, Shards shards) {
    long bytes = 0;
    int index = 0;
    for (ParameterGroup g : groups) {
      for (Parameter p : g.parameters()) {
        long size = Math.ceilDiv(bytes(p, range(p, index++, shards)), ALIGNMENT) * ALIGNMENT;
        bytes += p.expAvg() == null ? size : 0;
        bytes += p.expAvgSq() == null ? size : 0;
        bytes += g.amsgrad() && p.maxExpAvgSq() == null ? size : 0;
      }
    }
    MemorySegment all = arena.allocate(bytes, ALIGNMENT);
    return new Moments(SegmentAllocator.slicingAllocator(all)).complete(groups, seed, shards);
  }

  /** Returns the arrays of one parameter; those that are missing are allocated in the arena. */
  static SteppedTensor complete(Parameter p, int group, boolean amsgrad, Arena arena, long seed) {
    return new Moments(arena).complete(p, group, amsgrad, seed, range(p, 0, null));
  }

  private List<SteppedTensor> complete(ParameterGroup[] groups, long seed, Shards shards) {
    List<SteppedTensor> all = new ArrayList<>();
    for (int g = 0; g < groups.length; g++) {
      for (Parameter p : groups[g].parameters()) {
        all.add(complete(p, g, groups[g].amsgrad(), seed, range(p, all.size(), shards)));
      }
    }
    return all;
  }

  private SteppedTensor complete(Parameter p, int group, boolean amsgrad, long seed, Range range) {
    return new SteppedTensor(
        group,
        p.step(),
        null,
        RandomWords.key(seed, p.name()),
        range.begin,
        p.types(),
        range.of(p.data(), p.type()),
        range.of(p.low(), ElementType.INT16),
        range.of(p.gradient(), p.gradientType()),
        range.of(p.anchor(), p.anchorType()),
        orAllocated(p.expAvg(), p, range),
        orAllocated(p.expAvgSq(), p, range),
        amsgrad ? orAllocated(p.maxExpAvgSq(), p, range) : null);
  }

  private MemorySegment orAllocated(MemorySegment moment, Parameter p, Range range) {
    return moment != null ? moment : allocator.allocate(bytes(p, range), ALIGNMENT);
  }

  private static long bytes(Parameter p, Range range) {
    return p.momentType().byteSize(range.end - range.begin);
  }

  /** The elements of a parameter that this process steps. */
  private record Range(long begin, long end) {
    MemorySegment of(MemorySegment array, ElementType type) {
      long bytes = (end - begin) * type.byteSize();
      return array == null || array.byteSize() == bytes
          ? array
          : array.asSlice(begin * type.byteSize(), bytes);
    }
  }

  private static Range range(Parameter p, int index, Shards shards) {
    return shards == null
        ? new Range(0, p.numel())
        : new Range(shards.begin(index, shards.rank()), shards.end(index, shards.rank()));
  }
}
