package io.spd4j.cuda;

import java.util.concurrent.atomic.AtomicInteger;

/** Counts the calls that use a resource, so that it is not closed while they run. Thread-safe. */
final class Uses {
  private static final int CLOSED = -1;

  private final String what;
  private final AtomicInteger calls = new AtomicInteger();

  Uses(String what) {
    this.what = what;
  }

  /**
   * Keeps the resource open until {@link #release}.
   *
   * @throws IllegalStateException if it is closed
   */
  void acquire() {
    if (calls.getAndUpdate(n -> n == CLOSED ? n : n + 1) == CLOSED) {
      throw new IllegalStateException(what + " is closed");
    }
  }

  void release() {
    calls.decrementAndGet();
  }

  /**
   * Closes the resource to new calls.
   *
   * @return whether it was open
   * @throws IllegalStateException if a call is using it
   */
  boolean close() {
    int before = calls.compareAndExchange(0, CLOSED);
    if (before > 0) {
      throw new IllegalStateException(what + " is in use: close it when the call has returned");
    }
    return before == 0;
  }

  /** Undoes the {@link #close} that has just returned true. */
  void reopen() {
    calls.set(0);
  }
}
