package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * The division of a step's tensors into one run of blocks per thread. A tensor that lies in one run
 * is stepped by one thread, which decides on it and projects it while it is in cache. For a tensor
 * that is cut, SPD can only decide after all threads; there are fewer such tensors than threads. A
 * new schedule is made only if other tensors are to be stepped, or a gradient moves to another
 * arena.
 */
final class Schedule {
  /** Elements per run that make it worthwhile to wake another thread. */
  private static final long RUN = 1 << 15;

  /** A thread that owns no arena: it cannot access segments of confined arenas. */
  private static final Thread ANY_OTHER = Thread.ofPlatform().unstarted(() -> {});

  /** The end of a run may move by 1/TOLERANCE of a run, if that avoids cutting a tensor. */
  private static final int TOLERANCE = 64;

  private final int first;
  private final int end;
  private final long[] bounds;
  private final int[] shared;
  private final Holds holds;
  private final MemorySegment[] scopes;

  private Schedule(
      int first, int end, long[] bounds, int[] shared, Holds holds, MemorySegment[] scopes) {
    this.first = first;
    this.end = end;
    this.bounds = bounds;
    this.shared = shared;
    this.holds = holds;
    this.scopes = scopes;
  }

  /**
   * Returns a schedule of those of the tensors [first, end) that have a row of scalars.
   *
   * @param threads the most runs
   */
  static Schedule of(BlockTable table, int first, int end, int threads) {
    Map<MemorySegment.Scope, MemorySegment> scopes = new LinkedHashMap<>();
    boolean confined = false;
    long numel = 0;
    for (int t = first; t < end; t++) {
      if (table.scalarsOf(t) >= 0) {
        numel += table.tensor(t).numel();
        for (MemorySegment segment : table.tensor(t).arrays()) {
          if (scopes.putIfAbsent(segment.scope(), segment) == null) {
            confined |= !segment.isAccessibleBy(ANY_OTHER);
          }
        }
      }
    }
    int runs = Math.clamp(numel / RUN, 1, confined ? 1 : threads);
    long[] bounds = bounds(table, first, end, numel, runs);
    return new Schedule(
        first,
        end,
        bounds,
        shared(table, first, end, bounds),
        Holds.of(table, first, end),
        scopes.values().toArray(MemorySegment[]::new));
  }

  /**
   * Cuts the blocks of the tensors [first, end) into runs with about equal numbers of elements,
   * between two tensors if that is near enough.
   */
  private static long[] bounds(BlockTable table, int first, int end, long numel, int runs) {
    long[] bounds = new long[runs + 1];
    bounds[0] = table.firstBlock(first);
    bounds[runs] = table.firstBlock(end);
    long before = 0;
    int run = 1;
    for (int t = first; t < end && run < runs; t++) {
      if (table.scalarsOf(t) < 0) {
        continue;
      }
      long after = before + table.tensor(t).numel();
      for (; run < runs && numel / runs * run <= after; run++) {
        long within = numel / runs * run - before;
        long near = numel / runs / TOLERANCE;
        if (within <= near) {
          bounds[run] = table.firstBlock(t);
        } else if (after - before - within <= near) {
          bounds[run] = table.firstBlock(t + 1);
        } else {
          bounds[run] = table.firstBlock(t) + Math.ceilDiv(within, BlockTable.BLOCK);
        }
      }
      before = after;
    }
    return bounds;
  }

  private static int[] shared(BlockTable table, int first, int end, long[] bounds) {
    return IntStream.range(first, end)
        .filter(t -> table.scalarsOf(t) >= 0)
        .filter(t -> table.isSharded() || table.tensor(t).numel() == 0 || isCut(table, t, bounds))
        .toArray();
  }

  private static boolean isCut(BlockTable table, int tensor, long[] bounds) {
    int next = Arrays.binarySearch(bounds, table.firstBlock(tensor) + 1);
    next = next >= 0 ? next : -next - 1;
    return next < bounds.length && bounds[next] < table.firstBlock(tensor + 1);
  }

  /** Returns the first tensor. */
  int first() {
    return first;
  }

  /** Returns the tensor after the last one. */
  int end() {
    return end;
  }

  int runs() {
    return bounds.length - 1;
  }

  /** Returns the first block of a run; the run ends at the first block of the next one. */
  long bound(int run) {
    return bounds[run];
  }

  /** Returns the tensors that lie whole in no run, empty tensors and all shards included. */
  int[] shared() {
    return shared;
  }

  Holds holds() {
    return holds;
  }

  /**
   * Returns a segment whose arena is closed or belongs to another thread; null if the calling
   * thread may use all segments.
   */
  MemorySegment inaccessible() {
    Thread thread = Thread.currentThread();
    for (MemorySegment segment : scopes) {
      if (!segment.scope().isAlive() || !segment.isAccessibleBy(thread)) {
        return segment;
      }
    }
    return null;
  }
}
