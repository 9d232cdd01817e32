package io.spd4j;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;

/** Memory for chunks that are given back in the order in which they were taken. */
final class ChunkRing {
  /** Bytes of a cache line: what chunks begin at a multiple of. */
  private static final long LINE = 64;

  /** Memory for a chunk. */
  record Buffers(MemorySegment send, MemorySegment receive) {}

  private final MemorySegment send;
  private final MemorySegment receive;

  /** Where the chunks begin that are taken. */
  private final Deque<Long> taken = new ArrayDeque<>();

  /** The end of the chunk that was taken last. */
  private long next;

  /**
   * @param bytes of all chunks that are taken at once, about
   * @throws OutOfMemoryError if there is no memory
   */
  ChunkRing(Arena arena, long bytes) {
    send = arena.allocate(bytes, LINE);
    receive = arena.allocate(bytes, LINE);
  }

  /** Returns the size that a chunk takes. */
  static long padded(long bytes) {
    return Math.ceilDiv(bytes, LINE) * LINE;
  }

  /** Returns memory for a chunk; null if there is none before the first one is given back. */
  Buffers take(long bytes) {
    long size = padded(bytes);
    long begin = begin(size);
    if (begin < 0) {
      return null;
    }
    taken.add(begin);
    next = begin + size;
    return new Buffers(send.asSlice(begin, bytes), receive.asSlice(begin, bytes));
  }

  /** Returns where a chunk can begin; -1 if nowhere. */
  private long begin(long size) {
    long end = send.byteSize();
    if (taken.isEmpty()) {
      return size <= end ? 0 : -1;
    }
    long first = taken.peek();
    if (next <= first) { // the chunks go on from the beginning
      return size <= first - next ? next : -1;
    }
    if (size <= end - next) {
      return next;
    }
    return size <= first ? 0 : -1;
  }

  /** Gives back the chunk that was taken first. */
  void giveBack() {
    taken.remove();
  }
}
