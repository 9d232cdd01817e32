package io.spd4j.kernel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The segments that are passed to a native call so that their arenas stay open while it runs, in C
 * or, through {@link OpenArenas}, in Java. FFM keeps an arena open only if one of its segments is
 * an argument of the call; an address in a table does not count. Consecutive tensors whose arrays
 * come from at most {@link #WIDTH} arenas share a span and thus a call; usually there is one span.
 */
final class Holds {
  /** Segments per call, enough for all arrays of a tensor. */
  static final int WIDTH = 7;

  static final Holds NONE = new Holds(new long[] {Long.MAX_VALUE}, new MemorySegment[][] {empty()});

  private final long[] ends;
  private final MemorySegment[][] segments;

  private Holds(long[] ends, MemorySegment[][] segments) {
    this.ends = ends;
    this.segments = segments;
  }

  private static MemorySegment[] empty() {
    MemorySegment[] none = new MemorySegment[WIDTH];
    Arrays.fill(none, MemorySegment.NULL);
    return none;
  }

  /** Returns {@link #WIDTH} segments: the given ones and empty ones. */
  static MemorySegment[] of(MemorySegment... few) {
    MemorySegment[] segments = empty();
    System.arraycopy(few, 0, segments, 0, few.length);
    return segments;
  }

  /** Returns the holds for those of the tensors [first, end) that are stepped. */
  static Holds of(BlockTable table, int first, int end) {
    List<Long> ends = new ArrayList<>();
    List<MemorySegment[]> segments = new ArrayList<>();
    MemorySegment[] span = empty();
    for (int t = first; t < end; t++) {
      if (table.scalarsOf(t) < 0 || table.tensor(t).numel() == 0) {
        continue; // it has no block, so no span may end at it
      }
      SteppedTensor a = table.tensor(t);
      MemorySegment[] more = span.clone();
      if (!addAll(more, a)) {
        ends.add(table.firstBlock(t));
        segments.add(span);
        more = empty();
        addAll(more, a);
      }
      span = more;
    }
    ends.add(Long.MAX_VALUE);
    segments.add(span);
    return new Holds(
        ends.stream().mapToLong(Long::longValue).toArray(),
        segments.toArray(MemorySegment[][]::new));
  }

  private static boolean addAll(MemorySegment[] span, SteppedTensor a) {
    return a.arrays().stream().allMatch(segment -> add(span, segment));
  }

  private static boolean add(MemorySegment[] span, MemorySegment segment) {
    if (segment.scope().equals(Arena.global().scope())) {
      return true;
    }
    for (int i = 0; i < WIDTH; i++) {
      if (span[i] == MemorySegment.NULL) {
        span[i] = segment;
        return true;
      }
      if (span[i].scope().equals(segment.scope())) {
        return true;
      }
    }
    return false;
  }

  /** Returns the span that a block lies in. */
  int spanOf(long block) {
    int found = Arrays.binarySearch(ends, block);
    return found >= 0 ? found + 1 : -found - 1;
  }

  /** Returns the first block of a span. */
  long begin(int span) {
    return span == 0 ? 0 : ends[span - 1];
  }

  /** Returns the block after the last one of a span. */
  long end(int span) {
    return ends[span];
  }

  /** Returns the {@link #WIDTH} segments of a span. */
  MemorySegment[] segments(int span) {
    return segments[span];
  }
}
