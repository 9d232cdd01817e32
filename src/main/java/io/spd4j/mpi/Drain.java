package io.spd4j.mpi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Receives and discards the messages that nobody waits for after a failure, so that the ranks that
 * sent them get their memory back. Guarded by the lock of World.
 */
final class Drain {
  private final Calls calls;
  private final MemorySegment communicator;
  private final Arena arena;
  private final MemorySegment request;
  private MemorySegment buffer;
  private boolean receiving;

  Drain(Calls calls, MemorySegment communicator, Arena arena) {
    this.calls = calls;
    this.communicator = communicator;
    this.arena = arena;
    request = arena.allocate(ValueLayout.JAVA_LONG);
  }

  void poll() {
    if (buffer == null) {
      buffer = arena.allocate(Transfer.MOST_BYTES);
    }
    do {
      if (!receiving) {
        request.set(ValueLayout.JAVA_LONG, 0, 0);
        calls.receiveAny(buffer, communicator, request);
      }
      receiving = !calls.test(request);
    } while (!receiving);
  }

  /** Ends it, once no rank sends any more. */
  void stop() {
    if (receiving) {
      calls.cancel(request);
      Idle idle = new Idle();
      while (!calls.test(request)) {
        idle.pause();
      }
      receiving = false;
    }
  }
}
