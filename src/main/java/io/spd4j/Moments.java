package io.spd4j;

import io.spd4j.kernel.RandomWords;
import io.spd4j.kernel.Shards;
import io.spd4j.kernel.SteppedTensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;

/** Allocates the moments that the caller did not give, set to 0. */
record Moments(Slab slab) {
  /**
   * Returns the arrays of all parameters; those that are missing are allocated in the arena.
   *
   * @param seed of the random bits
   * @param shards which elements this process steps, by parameter; null for all
   */
  static List<SteppedTensor> complete(
      ParameterGroup[] groups, Arena arena, long seed, Shards shards) {
    LongStream.Builder missing = LongStream.builder();
    int index = 0;
    for (ParameterGroup g : groups) {
      for (Parameter p : g.parameters()) {
        missing(p, g.amsgrad(), range(p, index++, shards), missing);
      }
    }
    return new Moments(Slab.of(arena, missing.build())).complete(groups, seed, shards);
  }

  /** Returns the arrays of one parameter; those that are missing are allocated in the arena. */
  static SteppedTensor complete(Parameter p, int group, boolean amsgrad, Arena arena, long seed) {
    Range range = range(p, 0, null);
    LongStream.Builder missing = LongStream.builder();
    missing(p, amsgrad, range, missing);
    return new Moments(Slab.of(arena, missing.build())).complete(p, group, amsgrad, seed, range);
  }

  /** Adds the sizes of the arrays that a parameter lacks. */
  private static void missing(Parameter p, boolean amsgrad, Range range, LongStream.Builder sizes) {
    if (p.expAvg() == null) {
      sizes.add(bytes(p, range)).add(bytes(p, range));
    }
    if (amsgrad && p.maxExpAvgSq() == null) {
      sizes.add(bytes(p, range));
    }
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
    return moment != null ? moment : slab.array(bytes(p, range));
  }

  private static long bytes(Parameter p, Range range) {
    return p.momentType().byteSizeOrMost(range.end - range.begin);
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
