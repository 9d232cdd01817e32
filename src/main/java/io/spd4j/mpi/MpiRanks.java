package io.spd4j.mpi;

import io.spd4j.Ranks;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** The ranks of MPI, for an optimizer that is stepped in shards. */
record MpiRanks(Mpi mpi) implements Ranks {
  private record Started(Pending pending) implements Ranks.Transfer {
    @Override
    public void await() {
      pending.await();
    }

    @Override
    public boolean isDone() {
      return pending.isDone();
    }
  }

  @Override
  public int rank() {
    return mpi.rank();
  }

  @Override
  public int size() {
    return mpi.size();
  }

  @Override
  public Ranks.Transfer allToAll(MemorySegment send, MemorySegment receive) {
    return new Started(
        mpi.startAllToAll(send, parts("send", send), receive, parts("receive", receive)));
  }

  @Override
  public Ranks.Transfer allGather(MemorySegment send, MemorySegment receive) {
    return new Started(mpi.startAllGather(send, receive, parts("receive", receive)));
  }

  private Slices parts(String what, MemorySegment segment) {
    if (segment.byteSize() % size() != 0) {
      throw new IllegalArgumentException(
          "%s has %d bytes, which is no multiple of the number of ranks, %d"
              .formatted(what, segment.byteSize(), size()));
    }
    long[] bytes = new long[size()];
    Arrays.fill(bytes, segment.byteSize() / size());
    return Slices.packed(bytes);
  }

  @Override
  public void requireSame(String what, byte[] digest) {
    mpi.requireSame(what, digest);
  }
}
