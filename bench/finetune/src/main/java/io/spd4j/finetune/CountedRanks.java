package io.spd4j.finetune;

import io.spd4j.Ranks;
import java.lang.foreign.MemorySegment;

/** Other ranks' calls, with what they sent and how long this process was in them. */
final class CountedRanks implements Ranks {
  private final Ranks ranks;
  private long bytes;
  private long nanos;

  CountedRanks(Ranks ranks) {
    this.ranks = ranks;
  }

  /** Returns the bytes that this process sent to others. */
  long bytes() {
    return bytes;
  }

  /** Returns the time in which this process started transfers and waited for them. */
  long nanos() {
    return nanos;
  }

  @Override
  public int rank() {
    return ranks.rank();
  }

  @Override
  public int size() {
    return ranks.size();
  }

  @Override
  public Transfer allToAll(MemorySegment send, MemorySegment receive) {
    bytes += send.byteSize() / size() * (size() - 1);
    long start = System.nanoTime();
    return timed(start, ranks.allToAll(send, receive));
  }

  @Override
  public Transfer allGather(MemorySegment send, MemorySegment receive) {
    bytes += send.byteSize() * (size() - 1);
    long start = System.nanoTime();
    return timed(start, ranks.allGather(send, receive));
  }

  private Transfer timed(long start, Transfer transfer) {
    nanos += System.nanoTime() - start;
    return new Transfer() {
      @Override
      public void await() {
        long waiting = System.nanoTime();
        transfer.await();
        nanos += System.nanoTime() - waiting;
      }

      @Override
      public boolean isDone() {
        long asking = System.nanoTime();
        boolean done = transfer.isDone();
        nanos += System.nanoTime() - asking;
        return done;
      }
    };
  }

  @Override
  public void requireSame(String what, byte[] digest) {
    ranks.requireSame(what, digest);
  }
}
