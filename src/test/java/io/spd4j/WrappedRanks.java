package io.spd4j;

import java.lang.foreign.MemorySegment;

/** Ranks of which a test changes something. */
class WrappedRanks implements Ranks {
  final Ranks ranks;

  WrappedRanks(Ranks ranks) {
    this.ranks = ranks;
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
    return ranks.allToAll(send, receive);
  }

  @Override
  public Transfer allGather(MemorySegment send, MemorySegment receive) {
    return ranks.allGather(send, receive);
  }

  @Override
  public void requireSame(String what, byte[] digest) {
    ranks.requireSame(what, digest);
  }
}
