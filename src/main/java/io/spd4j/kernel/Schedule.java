package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * How the tensors that are stepped are gone through: cut into one run of blocks a thread. A tensor
 * that lies in one run is stepped by its thread alone, which decides on it and projects it while it
 * is in cache; a tensor that is cut waits for all threads before SPD can decide. There are fewer of
 * these than threads. Built anew only when other tensors are stepped than before, or a gradient
 * lies in another arena.
 */
final class Schedule {
  /** Elements that make it worth to wake another thread. */
  private static final long RUN = 1 << 15;

  /** For the question whether other threads than a confined arena's owner may use a segment. */
  private static final Thread ANY_OTHER = Thread.ofPlatform().unstarted(() -> {});

  /** A run may be longer than its share by a part of it, if it need not share a tensor then. */
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
   * The schedule of the tensors [first, end) that have a row of scalars.
   *
   * @param threads runs at the most
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
   * Cuts the blocks of the tensors [first, end) into runs of about as many elements each, and
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
        .filter(t -> table.tensor(t).numel() == 0 || isCut(table, t, bounds))
        .toArray();
  }

  private static boolean isCut(BlockTable table, int tensor, long[] bounds) {
    int next = Arrays.binarySearch(bounds, table.firstBlock(tensor) + 1);
    next = next >= 0 ? next : -next - 1;
    return next < bounds.length && bounds[next] < table.firstBlock(tensor + 1);
  }

  /** The first tensor. */
  int first() {
    return first;
  }

  /** The tensor behind the last one. */
  int end() {
    return end;
  }

  int runs() {
    return bounds.length - 1;
  }

  /** The first block of a run; that of the next run is its end. */
  long bound(int run) {
    return bounds[run];
  }

  /** The tensors that no run holds whole; an empty one is in no run at all. */
  int[] shared() {
    return shared;
  }

  Holds holds() {
    return holds;
  }

  /**
   * A segment of an arena that is closed or belongs to another thread, null if the calling thread
   * may use all.
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
