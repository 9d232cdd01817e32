package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * How the tensors that are stepped are gone through: in waves of whole tensors, each wave cut into
 * one run of blocks a thread. A tensor that lies in one run is stepped by its thread alone; one
 * that threads share waits for all of them before SPD can decide, so waves are short: what it
 * projects then is still in cache. Without SPD there is one wave. Built anew only when other
 * tensors are stepped than before, some with SPD or none any more, or a gradient lies in another
 * arena.
 */
final class Schedule {
  /** Elements of a wave at which it ends: what lies in a last-level cache, give or take. */
  private static final long WAVE = 1 << 20;

  /** Elements that make it worth to wake another thread. */
  private static final long RUN = 1 << 15;

  /** For the question whether other threads than a confined arena's owner may use a segment. */
  private static final Thread ANY_OTHER = Thread.ofPlatform().unstarted(() -> {});

  /** A run may be longer than its share by a part of it, if it need not share a tensor then. */
  private static final int TOLERANCE = 64;

  /**
   * Whole tensors [first, end), their blocks cut into runs [bounds[i], bounds[i+1]).
   *
   * @param shared those that no run holds whole; an empty tensor is in no run at all
   */
  record Wave(int first, int end, long[] bounds, int[] shared) {
    int runs() {
      return bounds.length - 1;
    }
  }

  private final Holds holds;
  private final List<Wave> waves;
  private final MemorySegment[] scopes;
  private final boolean parallel;

  private Schedule(Holds holds, List<Wave> waves, MemorySegment[] scopes, boolean parallel) {
    this.holds = holds;
    this.waves = waves;
    this.scopes = scopes;
    this.parallel = parallel;
  }

  /**
   * The schedule of the tensors [first, end) that have a row of scalars.
   *
   * @param spd some of them are stepped with SPD
   * @param threads runs of a wave at the most
   */
  static Schedule of(BlockTable table, int first, int end, boolean spd, int threads) {
    Map<MemorySegment.Scope, MemorySegment> scopes = new LinkedHashMap<>();
    boolean confined = false;
    for (int t = first; t < end; t++) {
      if (table.scalarsOf(t) >= 0) {
        for (MemorySegment segment : table.arrays(t).all()) {
          if (scopes.putIfAbsent(segment.scope(), segment) == null) {
            confined |= !segment.isAccessibleBy(ANY_OTHER);
          }
        }
      }
    }
    int runs = confined ? 1 : threads;
    List<Wave> waves = new ArrayList<>();
    boolean parallel = false;
    int begin = first;
    long numel = 0;
    for (int t = first; t < end; t++) {
      numel += table.scalarsOf(t) < 0 ? 0 : table.arrays(t).numel();
      if ((spd && numel >= WAVE) || t == end - 1) {
        int wanted = Math.clamp(numel / RUN, 1, runs);
        long[] bounds = bounds(table, begin, t + 1, numel, wanted);
        waves.add(new Wave(begin, t + 1, bounds, shared(table, begin, t + 1, bounds)));
        parallel |= wanted > 1;
        begin = t + 1;
        numel = 0;
      }
    }
    return new Schedule(
        Holds.of(table, first, end),
        List.copyOf(waves),
        scopes.values().toArray(MemorySegment[]::new),
        parallel);
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
      long after = before + table.arrays(t).numel();
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
        .filter(t -> table.arrays(t).numel() == 0 || isCut(table, t, bounds))
        .toArray();
  }

  private static boolean isCut(BlockTable table, int tensor, long[] bounds) {
    int next = Arrays.binarySearch(bounds, table.firstBlock(tensor) + 1);
    next = next >= 0 ? next : -next - 1;
    return next < bounds.length && bounds[next] < table.firstBlock(tensor + 1);
  }

  Holds holds() {
    return holds;
  }

  List<Wave> waves() {
    return waves;
  }

  /** Whether any wave is worth more than one thread. */
  boolean parallel() {
    return parallel;
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
