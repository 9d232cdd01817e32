package io.spd4j.mpi;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** One message of a collective, at most {@link #MOST_BYTES} long. */
final class Transfer {
  /** Far below the 2³¹ that MPI can count; and a rank can always receive one and discard it. */
  static final int MOST_BYTES = 1 << 25;

  final boolean send;
  final int peer;
  private final long address;
  private final int bytes;
  private final Transfer after;

  /** The message of the same part before this one, which MPI must get first; or null. */
  private final Transfer previous;

  private MemorySegment request;
  private boolean done;

  private Transfer(
      boolean send, int peer, long address, int bytes, Transfer after, Transfer previous) {
    this.send = send;
    this.peer = peer;
    this.address = address;
    this.bytes = bytes;
    this.after = after;
    this.previous = previous;
  }

  /**
   * Returns the messages of a part. One of no bytes has an empty message, by which a rank notices
   * that another expects some.
   *
   * @param after the messages that must arrive before these are sent, one for each; or null
   */
  static List<Transfer> of(Part part, boolean send, List<Transfer> after) {
    long size = part.data().byteSize();
    List<Transfer> transfers = new ArrayList<>();
    long begin = 0;
    Transfer previous = null;
    do {
      int bytes = (int) Math.min(size - begin, MOST_BYTES);
      Transfer first = after == null ? null : after.get(transfers.size());
      long address = part.data().address() + begin;
      previous = new Transfer(send, part.rank(), address, bytes, first, previous);
      transfers.add(previous);
      begin += bytes;
    } while (begin < size);
    return transfers;
  }

  /** Starts this message if it can start, moves data, and returns whether it is complete. */
  boolean poll(Calls calls, int tag, MemorySegment communicator) {
    if (done) {
      return true;
    }
    if (request == null) {
      boolean early = previous != null && previous.request == null;
      if (early || after != null && !after.done) {
        return false;
      }
      start(calls, tag, communicator);
    }
    if (calls.test(request)) {
      int arrived = send ? bytes : calls.received();
      finish(calls);
      if (arrived != bytes) {
        throw new MpiException(
            "%d bytes arrived, but this rank expects %d: the ranks call different collectives, or"
                    .formatted(arrived, bytes)
                + " their counts differ");
      }
    }
    return done;
  }

  private void start(Calls calls, int tag, MemorySegment communicator) {
    MemorySegment fresh = calls.request();
    if (send) {
      calls.send(address, bytes, peer, tag, communicator, fresh);
    } else {
      calls.receive(address, bytes, peer, tag, communicator, fresh);
    }
    request = fresh;
  }

  /** Gives up a message that has not arrived. What was sent is left to the rank that receives. */
  void giveUp(Calls calls) {
    if (request == null) {
      done = true;
    } else if (!done && !send) {
      calls.cancel(request);
    }
  }

  /** Returns whether MPI no longer uses the memory of a message that was given up. */
  boolean isSettled(Calls calls) {
    if (!done && calls.test(request)) {
      finish(calls);
    }
    return done;
  }

  private void finish(Calls calls) {
    done = true;
    calls.release(request);
  }
}
