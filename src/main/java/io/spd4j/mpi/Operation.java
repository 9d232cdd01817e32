package io.spd4j.mpi;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.IntPredicate;

/** A collective of this rank: its messages, and how far they are. Guarded by the lock of World. */
final class Operation {
  /** The tags that every MPI has: MPI_TAG_UB is at least this. */
  private static final int LAST_TAG = 32767;

  private final String kind;
  private final long number;

  /** Also keeps memory of automatic arenas from being collected. */
  private final List<MemorySegment> memory;

  private final List<Transfer> left;

  /**
   * Makes a collective that has not begun.
   *
   * @param kind the name of its method
   * @param number which collective of this Mpi it is, from 1
   * @param memory what its messages read and write
   * @param transfers its messages
   */
  Operation(String kind, long number, List<MemorySegment> memory, List<Transfer> transfers) {
    this.kind = kind;
    this.number = number;
    this.memory = memory;
    left = transfers;
  }

  long number() {
    return number;
  }

  boolean isDone() {
    return left.isEmpty();
  }

  /** Returns whether all its memory can still be used. */
  boolean isAlive() {
    for (MemorySegment segment : memory) {
      if (!segment.scope().isAlive()) {
        return false;
      }
    }
    return true;
  }

  /** Starts messages that can start, and moves data. */
  void poll(Calls calls, MemorySegment communicator) {
    left.removeIf(transfer -> poll(transfer, calls, communicator));
  }

  private boolean poll(Transfer transfer, Calls calls, MemorySegment communicator) {
    try {
      return transfer.poll(calls, (int) (number % LAST_TAG), communicator);
    } catch (MpiException e) {
      String what = transfer.send ? "what rank %d gets" : "what rank %d sends";
      throw new MpiException(
          "%s, %s: %s".formatted(this, what.formatted(transfer.peer), e.getMessage()), e);
    }
  }

  /** Returns whether it still waits for a message of such a rank. */
  boolean awaits(IntPredicate rank) {
    return left.stream().anyMatch(transfer -> !transfer.send && rank.test(transfer.peer));
  }

  /** Gives up what has not arrived. Ignores errors, because this follows on one. */
  void giveUp(Calls calls) {
    for (Transfer transfer : left) {
      try {
        transfer.giveUp(calls);
      } catch (MpiException again) {
        continue;
      }
    }
  }

  /** Returns whether MPI uses nothing of its memory any more, after it was given up. */
  boolean isSettled(Calls calls) {
    for (Transfer transfer : left) {
      try {
        if (!transfer.isSettled(calls)) {
          return false;
        }
      } catch (MpiException again) {
        return false; // the next call may say
      }
    }
    return true;
  }

  /** Names it in messages. */
  @Override
  public String toString() {
    return "collective " + number + " (" + kind + ")";
  }
}
