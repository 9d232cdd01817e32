package io.spd4j.mpi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Which ranks have left: each tells the others, on a communicator of its own, once that it takes
 * part in no further collective, and once that none of its messages is on the way any more. When
 * all have said the latter, MPI can be ended. Guarded by the lock of World.
 */
final class Departures {
  /**
   * A rank takes part in no further collective.
   *
   * @param rank the rank
   * @param collectives how many it took part in
   * @param failed whether it failed, or else closed
   */
  record Departure(int rank, long collectives, boolean failed) {
    @Override
    public String toString() {
      return "rank %d %s after collective %d%s"
          .formatted(
              rank,
              failed ? "failed" : "closed",
              collectives,
              failed ? " (what it prints says why)" : "");
    }
  }

  /** A message: sender, whether it has finished, its collectives, and the departure behind its. */
  private static final int LONGS = 7;

  private final Calls calls;
  private final MemorySegment communicator;
  private final int rank;
  private final int size;
  private final Arena arena;
  private final MemorySegment incoming;
  private final MemorySegment receive;
  private final List<MemorySegment> sends = new ArrayList<>();
  private final long[] collectives;
  private final long[] times;
  private Departure cause;
  private int departed;
  private int finished;
  private boolean failed;
  private boolean receiving;

  Departures(Calls calls, MemorySegment communicator, int rank, int size, Arena arena) {
    this.calls = calls;
    this.communicator = communicator;
    this.rank = rank;
    this.size = size;
    this.arena = arena;
    incoming = arena.allocate(ValueLayout.JAVA_LONG, LONGS);
    receive = arena.allocate(ValueLayout.JAVA_LONG);
    collectives = new long[size];
    times = new long[size];
    Arrays.fill(collectives, Long.MAX_VALUE);
  }

  /** Receives what other ranks say. */
  void poll() {
    while (finished < size - 1) {
      if (!receiving) {
        receive.set(ValueLayout.JAVA_LONG, 0, 0);
        calls.receiveAny(incoming, communicator, receive);
        receiving = true;
      }
      if (!calls.test(receive)) {
        return;
      }
      receiving = false;
      note();
    }
  }

  private void note() {
    int sender = (int) incoming.getAtIndex(ValueLayout.JAVA_LONG, 0);
    if (incoming.getAtIndex(ValueLayout.JAVA_LONG, 1) != 0) {
      finished++;
      return;
    }
    departed++;
    collectives[sender] = incoming.getAtIndex(ValueLayout.JAVA_LONG, 2);
    times[sender] = System.nanoTime();
    failed |= incoming.getAtIndex(ValueLayout.JAVA_LONG, 3) != 0;
    if (cause == null || collectives[sender] < collectives[cause.rank()]) {
      cause =
          new Departure(
              (int) incoming.getAtIndex(ValueLayout.JAVA_LONG, 4),
              incoming.getAtIndex(ValueLayout.JAVA_LONG, 5),
              incoming.getAtIndex(ValueLayout.JAVA_LONG, 6) != 0);
    }
  }

  /**
   * Tells the others that this rank takes part in no further collective.
   *
   * @param completed how many it has completed
   * @param failing whether it leaves some that the others may have begun
   * @param why the departure that made it leave: its own or another's
   */
  void leave(long completed, boolean failing, Departure why) {
    send(0, completed, failing ? 1 : 0, why.rank(), why.collectives(), why.failed() ? 1 : 0);
  }

  /** Tells the others that no message of this rank is on the way. */
  void finish() {
    send(1, 0, 0, 0, 0, 0);
  }

  private void send(long... values) {
    MemorySegment message = arena.allocate(ValueLayout.JAVA_LONG, LONGS);
    message.setAtIndex(ValueLayout.JAVA_LONG, 0, rank);
    MemorySegment.copy(values, 0, message, ValueLayout.JAVA_LONG, Long.BYTES, values.length);
    for (int other = 0; other < size; other++) {
      if (other != rank) {
        MemorySegment request = calls.request();
        calls.send(message.address(), (int) message.byteSize(), other, 0, communicator, request);
        sends.add(request);
      }
    }
  }

  /** Returns why a collective cannot be completed, or null if no rank has left before it. */
  Departure before(long number) {
    for (long last : collectives) {
      if (last < number) {
        return cause;
      }
    }
    return null;
  }

  /** Returns whether a rank left at least so long ago. */
  boolean isGone(int other, long nanos) {
    return collectives[other] != Long.MAX_VALUE && System.nanoTime() - times[other] > nanos;
  }

  boolean any() {
    return departed > 0;
  }

  /** Returns whether a rank may have sent messages that nobody waits for. */
  boolean anyFailed() {
    return failed;
  }

  /** Returns whether all ranks have finished, and know that this one has. */
  boolean isComplete() {
    sends.removeIf(calls::test);
    return finished == size - 1 && sends.isEmpty();
  }
}
