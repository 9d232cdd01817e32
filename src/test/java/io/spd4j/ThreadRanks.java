package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * Ranks that are threads of this JVM. A transfer happens as late as it may, in {@code await}; it
 * checks that the sender left its segment unchanged, and until then the receiver's holds nonsense.
 */
final class ThreadRanks implements Ranks {
  /** What a rank does. */
  interface Job<T> {
    T run(Ranks ranks) throws Exception;
  }

  /** What the ranks share. */
  private static final class World {
    final int size;

    /** By call, what each rank sent. */
    final Map<Long, byte[][]> sent = new HashMap<>();

    Throwable failure;

    World(int size) {
      this.size = size;
    }

    synchronized void fail(Throwable e) {
      failure = failure == null ? e : failure;
      notifyAll();
    }

    synchronized void send(long call, int rank, byte[] data) {
      byte[][] all = sent.computeIfAbsent(call, c -> new byte[size][]);
      all[rank] = data;
      notifyAll();
    }

    /** Even after a failure it returns what all ranks have sent: nobody is late by chance. */
    synchronized byte[][] receive(long call) throws InterruptedException {
      byte[][] all = sent.get(call);
      while (failure == null && !isComplete(all)) {
        wait();
      }
      if (!isComplete(all)) {
        throw new IllegalStateException("another rank has failed", failure);
      }
      return all;
    }

    synchronized boolean isComplete(long call) {
      return isComplete(sent.get(call));
    }

    private static boolean isComplete(byte[][] all) {
      return Arrays.stream(all).allMatch(data -> data != null);
    }
  }

  private final World world;
  private final int rank;
  private long calls;

  private ThreadRanks(World world, int rank) {
    this.world = world;
    this.rank = rank;
  }

  /**
   * Runs a job on each rank and returns the results in order. If a rank fails, the others get
   * exceptions from what they call next, and this throws the first failure.
   */
  static <T> List<T> run(int size, Job<T> job) {
    World world = new World(size);
    List<T> results = new ArrayList<>(Collections.nCopies(size, null));
    List<Thread> threads = new ArrayList<>();
    for (int r = 0; r < size; r++) {
      int rank = r;
      threads.add(
          Thread.ofPlatform()
              .name("rank " + rank)
              .start(() -> {
                try {
                  results.set(rank, job.run(new ThreadRanks(world, rank)));
                } catch (Throwable e) {
                  world.fail(e);
                }
              }));
    }
    try {
      for (Thread thread : threads) {
        thread.join(TimeUnit.MINUTES.toMillis(5));
        if (thread.isAlive()) {
          TimeoutException hung = new TimeoutException(thread.getName() + " hangs");
          hung.setStackTrace(thread.getStackTrace());
          world.fail(hung);
        }
      }
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    if (world.failure instanceof RuntimeException e) {
      throw e;
    } else if (world.failure instanceof Error e) {
      throw e;
    } else if (world.failure != null) {
      throw new AssertionError(world.failure);
    }
    return results;
  }

  @Override
  public int rank() {
    return rank;
  }

  @Override
  public int size() {
    return world.size;
  }

  @Override
  public Transfer allToAll(MemorySegment send, MemorySegment receive) {
    assertThat(send.byteSize() % world.size).isZero();
    assertThat(receive.byteSize()).isEqualTo(send.byteSize());
    int part = (int) (send.byteSize() / world.size);
    return start(send, receive, part, rank * part);
  }

  @Override
  public Transfer allGather(MemorySegment send, MemorySegment receive) {
    assertThat(receive.byteSize()).isEqualTo(send.byteSize() * world.size);
    return start(send, receive, (int) send.byteSize(), 0);
  }

  /**
   * @param part the bytes that come from each rank
   * @param at where these begin in what that rank sends
   */
  private Transfer start(MemorySegment send, MemorySegment receive, int part, int at) {
    assertThat(send.isNative() && receive.isNative()).isTrue();
    assertThat(send.asOverlappingSlice(receive)).isEmpty();
    long call = calls++;
    byte[] sent = send.toArray(JAVA_BYTE);
    world.send(call, rank, sent);
    receive.fill((byte) 0x5a);
    return new Transfer() {
      @Override
      public void await() {
        byte[][] all = receive(call);
        assertThat(send.mismatch(MemorySegment.ofArray(sent)))
            .as("sent segment was changed")
            .isEqualTo(-1);
        for (int r = 0; r < world.size; r++) {
          assertThat(all[r].length).as("bytes that rank %d sends", r).isEqualTo(sent.length);
          MemorySegment.copy(all[r], at, receive, JAVA_BYTE, (long) r * part, part);
        }
      }

      @Override
      public boolean isDone() {
        return world.isComplete(call);
      }
    };
  }

  private byte[][] receive(long call) {
    try {
      return world.receive(call);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void requireSame(String what, byte[] digest) {
    long call = calls++;
    world.send(call, rank, digest);
    for (byte[] other : receive(call)) {
      if (!Arrays.equals(other, digest)) {
        throw new IllegalStateException("the ranks differ in " + what);
      }
    }
  }
}
