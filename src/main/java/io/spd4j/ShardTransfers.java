package io.spd4j;

import io.spd4j.kernel.GradientSum;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.function.Supplier;

/**
 * Moves the arrays of shards between ranks, chunk by chunk: while chunks are under way, the next is
 * packed, and the ones before it are added or unpacked. Chunks arrive in the order in which they
 * were sent. A shard is a list of spans, of which each rank knows the sizes on all ranks. After a
 * failure nothing is as the other ranks expect it, and all calls throw.
 */
final class ShardTransfers implements AutoCloseable {
  /** What spans in a buffer begin at a multiple of, so that chunks cut no element. */
  private static final long UNIT = 8;

  /** How many chunks, at least, can be under way. */
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

  /** A chunk that was sent, and what is done once it has arrived. */
  private record UnderWay(
      Ranks.Transfer transfer, ChunkRing ring, MemorySegment receive, long chunk, Chunks work) {}

  private final Ranks ranks;

  /** The most bytes of a chunk. */
  private final long limit;

  private final Arena arena = Arena.ofShared();

  /** What is sent while the caller waits. */
  private final ChunkRing waiting;

  /** What is sent while the caller does other work; null before {@link #reserve}. */
  private ChunkRing background;

  private final Deque<UnderWay> underWay = new ArrayDeque<>();

  /** The first failure; null if nothing failed. */
  private Throwable broken;

  /**
   * @param limit the most bytes that a rank sends to another at once, a multiple of {@link #UNIT}
   * @throws OutOfMemoryError if there is no memory for what is under way
   */
  ShardTransfers(Ranks ranks, long limit) {
    this.ranks = ranks;
    this.limit = limit;
    try {
      waiting = new ChunkRing(arena, leastRing());
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  /** Returns memory that is freed only once no transfer has it. */
  MemorySegment longs(int count) {
    return arena.allocate(ValueLayout.JAVA_LONG, count);
  }

  private long leastRing() {
    return WAITING * ChunkRing.padded(limit * ranks.size());
  }

  /**
   * Makes room for what {@link #startToAdd} leaves under way. Does nothing after the first call.
   *
   * @param bytes of all chunks, about
   * @throws OutOfMemoryError if there is no memory; nothing has changed
   */
  void reserve(long bytes) {
    if (background == null) {
      background = bytes <= leastRing() ? waiting : new ChunkRing(arena, bytes);
    }
  }

  /**
   * Starts to exchange a few bytes, which does not wait for the chunks under way.
   *
   * @see Ranks#allGather
   */
  Ranks.Transfer allGather(MemorySegment send, MemorySegment receive) {
    Ranks.Transfer transfer = guarded(() -> ranks.allGather(send, receive));
    return () -> guarded(transfer::await);
  }

  private void guarded(Runnable work) {
    guarded(() -> {
      work.run();
      return null;
    });
  }

  /** Does what cannot be taken back once it has begun. */
  private <T> T guarded(Supplier<T> work) {
    checkSound();
    try {
      return work.get();
    } catch (RuntimeException | Error e) {
      broken = e;
      throw e;
    }
  }

  /**
   * @throws IllegalStateException if an earlier call failed
   */
  void checkSound() {
    if (broken != null) {
      throw new IllegalStateException("an earlier exchange with the other ranks broke off", broken);
    }
  }

  /**
   * Adds up the arrays of all ranks along a binary tree in the order of the ranks. Each rank gets
   * the totals of its own shard, in its arrays; the rest of them stays.
   *
   * @param shards by rank, the spans of this rank's arrays, a multiple of their elements
   */
  void add(List<List<Span>> shards) {
    startToAdd(shards, shards.get(ranks.rank()), waiting);
    finish();
  }

  /**
   * Starts to add up the arrays of all ranks. They are sent as they are now; the totals are there
   * after the next {@link #add}. Waits for other ranks only if there is no room left ({@link
   * #reserve}).
   *
   * @param shards as in {@link #add}
   * @param totals where the totals of this rank's shard are written: spans of the same sizes
   */
  void startToAdd(List<List<Span>> shards, List<Span> totals) {
    startToAdd(shards, totals, background);
  }

  private void startToAdd(List<List<Span>> shards, List<Span> totals, ChunkRing ring) {
    List<Walk> out = shards.stream().map(Walk::new).toList();
    Walk own = new Walk(totals);
    start(
        length(shards),
        ranks.size(),
        ring,
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
        waiting,
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
   * @param ring where the chunks lie
   */
  private void start(long length, int sendParts, ChunkRing ring, Chunks work) {
    guarded(() -> {
      for (long done = 0; done < length; done += limit) {
        startOne(Math.min(limit, length - done), sendParts, ring, work);
      }
    });
  }

  private void startOne(long chunk, int sendParts, ChunkRing ring, Chunks work) {
    ChunkRing.Buffers buffers = ring.take(chunk * ranks.size());
    while (buffers == null) {
      finishFirst();
      buffers = ring.take(chunk * ranks.size());
    }
    MemorySegment out = buffers.send().asSlice(0, sendParts * chunk);
    work.pack(out, chunk);
    MemorySegment in = buffers.receive();
    underWay.add(new UnderWay(work.start(out, in), ring, in, chunk, work));
  }

  /** Moves data, and adds or unpacks what has arrived. */
  void poll() {
    guarded(() -> {
      while (!underWay.isEmpty() && underWay.peek().transfer.isDone()) {
        finishFirst();
      }
    });
  }

  /** Waits until all has arrived. */
  private void finish() {
    guarded(() -> {
      while (!underWay.isEmpty()) {
        finishFirst();
      }
    });
  }

  private void finishFirst() {
    UnderWay first = underWay.remove();
    first.transfer.await();
    first.work.unpack(first.receive, first.chunk);
    first.ring.giveBack();
  }

  /**
   * Waits for what is under way, as other ranks wait for this one's part, and frees the memory. If
   * there was a failure, here or on another rank, it does not wait, and the memory stays: a
   * transfer may still use it.
   */
  @Override
  public void close() {
    try {
      guarded(() -> underWay.forEach(one -> one.transfer.await()));
    } catch (RuntimeException e) {
      return; // nobody needs it any more
    }
    arena.close();
  }
}
