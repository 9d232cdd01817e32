package io.spd4j.mpi;

import java.util.concurrent.locks.LockSupport;

/** Passes the time between polls: briefly at first, then leaving the processor to others. */
final class Idle {
  private static final int SPINS = 50;
  private static final int YIELDS = 100;
  private static final long PARK_NANOS = 50_000;

  private int pauses;

  void pause() {
    if (pauses < SPINS) {
      Thread.onSpinWait();
    } else if (pauses < SPINS + YIELDS) {
      Thread.yield();
    } else {
      LockSupport.parkNanos(PARK_NANOS);
      return;
    }
    pauses++;
  }
}
