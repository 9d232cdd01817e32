package io.spd4j;

import io.spd4j.kernel.GradientSum;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;

/**
 * Moves the arrays of shards between ranks, chunk by chunk: while chunks are under way, the next is
 * packed, and the ones before it are added or unpacked. Chunks arrive in the order in which they
 * were sent. A shard is a list of spans, of which each rank knows the sizes on all ranks.
 */
final class ShardTransfers {
  /** What spans in a buffer begin at a multiple of, so that chunks cut no element. */
  private static final long UNIT = 8;

  private static final long LINE = 64;

  /** How many chunks are under way while the caller waits. */
  private static final int WAITING = 2;

  /**
   * Bytes of an array that belong to a shard.
   *
   * @param array null if the bytes are of no use on this rank
   * @param type what the array is added as
   */
  record Span(MemorySegment array, long offset, long bytes, ElementType type) {
    /** Returns the size in a buffer. */
    long padded() {
      return padded(bytes);
    }

    static long padded(long bytes) {
      return Math.ceilDiv(bytes, UNIT) * UNIT;
    }
  }

  /** Gets a piece of a span, which lies in a chunk at an offset. */
  private interface Piece {
    /**
     * @param array the piece; null if it is of no use on this rank
     */
    void at(Span span, MemorySegment array, long offset, long bytes);
  }

  /** Walks along the spans of a shard, one chunk after another. */
  private static final class Walk {
    private final List<Span> spans;
    private int span;
    private long within;

    Walk(List<Span> spans) {
      this.spans = spans;
    }

    void next(long chunk, Piece piece) {
      for (long offset = 0; offset < chunk && span < spans.size(); ) {
        Span s = spans.get(span);
        long bytes = Math.min(chunk - offset, s.bytes() - within);
        MemorySegment array = s.array();
        piece.at(
            s, array == null ? null : array.asSlice(s.offset() + within, bytes), offset, bytes);
        within += bytes;
        offset += Span.padded(bytes);
        if (within == s.bytes()) {
          span++;
          within = 0;
        }
      }
    }
  }

  /** What is done with each chunk. */
  private interface Chunks {
    void pack(MemorySegment send, long chunk);

    Ranks.Transfer start(MemorySegment send, MemorySegment receive);

    void unpack(MemorySegment receive, long chunk);
  }

  /** Memory for a chunk. */
  private record Buffers(MemorySegment send, MemorySegment receive) {}

  /** A chunk that was sent, and what is done once it has arrived. */
  private record UnderWay(Ranks.Transfer transfer, Buffers buffers, long chunk, Chunks work) {}

  private final Ranks ranks;

  /** The most bytes of a chunk. */
  private final long limit;

  /** The most chunks that are under way while the caller does other work. */
  private final int most;

  /** Not freed before the garbage collector sees that no transfer has them. */
  private final Arena arena = Arena.ofAuto();

  private final Deque<Buffers> free = new ArrayDeque<>();
  private final Deque<UnderWay> underWay = new ArrayDeque<>();

  /**
   * @param limit the most bytes that a rank sends to another at once, a multiple of {@link #UNIT}
   * @param background the bytes of all chunks that {@link #startToAdd} leaves under way, about
   */
  ShardTransfers(Ranks ranks, long limit, long background) {
    this.ranks = ranks;
    this.limit = limit;
    most = Math.clamp(background / (limit * ranks.size()), WAITING, Integer.MAX_VALUE);
    for (int i = 0; i < WAITING; i++) {
      free.push(new Buffers(buffer(), buffer()));
    }
  }

  /**
   * Adds up the arrays of all ranks along a binary tree in the order of the ranks. Each rank gets
   * the totals of its own shard, in its arrays; the rest of them stays.
   *
   * @param shards by rank, the spans of this rank's arrays, a multiple of their elements
   */
  void add(List<List<Span>> shards) {
    startToAdd(shards, shards.get(ranks.rank()), WAITING);
    finish();
  }

  /**
   * Starts to add up the arrays of all ranks. The totals are there after {@link #finish}; until
   * then the arrays must not change. Waits for other ranks only if much is under way.
   *
   * @param shards as in {@link #add}
   * @param totals where the totals of this rank's shard are written: spans of the same sizes
   */
  void startToAdd(List<List<Span>> shards, List<Span> totals) {
    startToAdd(shards, totals, most);
  }

  private void startToAdd(List<List<Span>> shards, List<Span> totals, int most) {
    List<Walk> out = shards.stream().map(Walk::new).toList();
    Walk own = new Walk(totals);
    start(
        length(shards),
        ranks.size(),
        most,
        new Chunks() {
          @Override
          public void pack(MemorySegment send, long chunk) {
            for (int r = 0; r < ranks.size(); r++) {
              copyNext(out.get(r), part(send, r, chunk));
            }
          }

          @Override
          public Ranks.Transfer start(MemorySegment send, MemorySegment receive) {
            return ranks.allToAll(send, receive);
          }

          @Override
          public void unpack(MemorySegment receive, long chunk) {
            own.next(
                chunk,
                (span, array, offset, bytes) -> total(span.type(), receive, chunk, offset, array));
          }
        });
  }

  /** Adds up the pieces at an offset in each part, and writes the total to an array. */
  private void total(
      ElementType type, MemorySegment parts, long chunk, long offset, MemorySegment total) {
    int size = ranks.size();
    for (int width = 1; width < size; width *= 2) {
      for (int r = 0; r < size; r += 2 * width) {
        MemorySegment left = parts.asSlice(r * chunk + offset, total.byteSize());
        MemorySegment right = parts.asSlice((r + width) * chunk + offset, total.byteSize());
        GradientSum.add(type, left, right, 2 * width == size ? total : left);
      }
    }
  }

  /**
   * Brings every rank's shard to all ranks.
   *
   * @param own what this rank sends: its shard
   * @param shards by rank, where its shard is received
   */
  void gather(List<Span> own, List<List<Span>> shards) {
    Walk out = new Walk(own);
    List<Walk> in = shards.stream().map(Walk::new).toList();
    start(
        length(shards),
        1,
        WAITING,
        new Chunks() {
          @Override
          public void pack(MemorySegment send, long chunk) {
            copyNext(out, send);
          }

          @Override
          public Ranks.Transfer start(MemorySegment send, MemorySegment receive) {
            return ranks.allGather(send, receive);
          }

          @Override
          public void unpack(MemorySegment receive, long chunk) {
            for (int r = 0; r < ranks.size(); r++) {
              MemorySegment part = part(receive, r, chunk);
              in.get(r)
                  .next(
                      chunk,
                      (span, array, offset, bytes) -> {
                        if (array != null) {
                          MemorySegment.copy(part, offset, array, 0, bytes);
                        }
                      });
            }
          }
        });
    finish();
  }

  private static void copyNext(Walk walk, MemorySegment part) {
    walk.next(
        part.byteSize(),
        (span, array, offset, bytes) -> MemorySegment.copy(array, 0, part, offset, bytes));
  }

  private static MemorySegment part(MemorySegment parts, int rank, long chunk) {
    return parts.asSlice(rank * chunk, chunk);
  }

  /** Returns the size in a buffer of the longest shard. */
  private static long length(List<List<Span>> shards) {
    return shards.stream()
        .mapToLong(spans -> spans.stream().mapToLong(Span::padded).sum())
        .max()
        .orElse(0);
  }

  /**
   * @param sendParts the number of chunks that are sent at once
   * @param most how many may be under way; before more are started, the first must have arrived
   */
  private void start(long length, int sendParts, int most, Chunks work) {
    for (long done = 0; done < length; done += limit) {
      long chunk = Math.min(limit, length - done);
      while (underWay.size() >= most) {
        finishFirst();
      }
      Buffers buffers = free.isEmpty() ? new Buffers(buffer(), buffer()) : free.pop();
      MemorySegment out = buffers.send.asSlice(0, sendParts * chunk);
      work.pack(out, chunk);
      MemorySegment in = buffers.receive.asSlice(0, ranks.size() * chunk);
      underWay.add(new UnderWay(work.start(out, in), buffers, chunk, work));
    }
  }

  private MemorySegment buffer() {
    return arena.allocate(limit * ranks.size(), LINE);
  }

  /** Moves data, and adds or unpacks what has arrived. */
  void poll() {
    while (!underWay.isEmpty() && underWay.peek().transfer.isDone()) {
      finishFirst();
    }
  }

  /** Waits until all has arrived. */
  void finish() {
    while (!underWay.isEmpty()) {
      finishFirst();
    }
  }

  private void finishFirst() {
    UnderWay first = underWay.remove();
    first.transfer.await();
    MemorySegment in = first.buffers.receive.asSlice(0, ranks.size() * first.chunk);
    first.work.unpack(in, first.chunk);
    free.push(first.buffers);
  }
}
