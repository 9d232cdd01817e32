package io.spd4j.kernel;

import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;

/**
 * Runs the parts of a phase on the calling thread and on helpers: the team's own threads, or tasks
 * on the caller's executor. Each part goes to the first thread that asks. A helper tries its own
 * part first, because its cache still holds that part's data from the previous phase. The calling
 * thread takes what is left, so a busy executor delays nothing.
 */
final class Team implements AutoCloseable {
  /** The work of a phase. */
  interface Work {
    void run(int part);
  }

  /** About 50 µs of waiting: longer than the gap between phases, or between steps in a loop. */
  private static final int SPINS = 2_000;

  /** About 50 µs of waiting, too, or more if other threads want the processor. */
  private static final int YIELDS = 200;

  private static final long NAP_NANOS = 50_000;

  private final int size;
  private final Executor executor;
  private final Runnable[] helpers;
  private final Thread[] threads;

  /** The last phase in which each part was taken. */
  private final AtomicLongArray taken;

  private final AtomicInteger unfinished = new AtomicInteger();
  private Work work;

  /** The thread that runs the phases. An executor may run a helper on this thread, too. */
  private volatile Thread caller;

  private volatile long phase;
  private volatile boolean stepping;
  private volatile boolean closed;
  private volatile Throwable failure;

  /**
   * @param size the parts of a phase, and the most threads
   * @param executor runs the helpers; null for daemon threads of the team
   */
  Team(int size, Executor executor) {
    this.size = size;
    this.executor = executor;
    taken = new AtomicLongArray(size);
    helpers = new Runnable[size];
    threads = new Thread[executor == null ? size : 0];
    try {
      for (int h = 1; h < size; h++) {
        int part = h;
        helpers[h] = () -> help(part);
        if (executor == null) {
          threads[h] = Thread.ofPlatform().daemon().name("spd4j-" + h).start(() -> live(part));
        }
      }
    } catch (Error e) {
      close(); // ends the threads that were started
      throw e;
    }
  }

  int size() {
    return size;
  }

  /** Calls the helpers for the phases that follow. */
  void begin() {
    caller = Thread.currentThread();
    stepping = true;
    try {
      for (int h = 1; h < size; h++) {
        if (executor == null) {
          LockSupport.unpark(threads[h]);
        } else {
          executor.execute(helpers[h]);
        }
      }
    } catch (RejectedExecutionException e) {
      // The calling thread takes every part.
    } catch (RuntimeException | Error e) {
      end();
      throw e;
    }
  }

  /** Runs all parts of a phase. If a part threw, throws that again once all parts have ended. */
  void run(Work work) {
    this.work = work;
    unfinished.set(size);
    long current = phase + 1;
    phase = current;
    take(current, 0);
    for (int spins = 0; unfinished.get() > 0; spins++) {
      pause(spins);
    }
    Throwable thrown = failure;
    failure = null;
    if (thrown instanceof RuntimeException e) {
      throw e;
    } else if (thrown instanceof Error e) {
      throw e;
    }
  }

  /** Releases the helpers. */
  void end() {
    stepping = false;
    caller = null;
  }

  /** Runs one of the team's threads. It sleeps between steps, unless the next follows at once. */
  private void live(int part) {
    for (int spins = 0; !closed; spins++) {
      if (stepping) {
        help(part);
        spins = 0;
      } else if (spins < SPINS) {
        Thread.onSpinWait();
      } else {
        LockSupport.park(this);
        Thread.interrupted(); // by others: a thread that stays interrupted never parks
      }
    }
  }

  /** Helps in the phases of one step, but not on the calling thread: that would block itself. */
  private void help(int part) {
    if (Thread.currentThread() == caller) {
      return;
    }
    long seen = 0;
    for (int spins = 0; stepping && !closed; spins++) {
      long current = phase;
      if (current == seen) {
        pause(spins);
      } else {
        take(current, part);
        seen = current;
        spins = 0;
      }
    }
  }

  /**
   * Takes parts until none is left, starting with the helper's own. Every part is taken before its
   * phase ends, so a late helper finds nothing to take.
   */
  private void take(long current, int own) {
    for (int i = 0; i < size; i++) {
      int part = (own + i) % size;
      long last = taken.get(part);
      if (last < current && taken.compareAndSet(part, last, current)) {
        try {
          work.run(part);
        } catch (RuntimeException | Error e) {
          failure = e;
        } finally {
          unfinished.decrementAndGet();
        }
      }
    }
  }

  private void pause(int spins) {
    if (spins < SPINS) {
      Thread.onSpinWait();
    } else if (spins < SPINS + YIELDS) {
      Thread.yield();
    } else {
      LockSupport.parkNanos(this, NAP_NANOS);
    }
  }

  /** Ends the team's own threads. No step may be under way. */
  @Override
  public void close() {
    closed = true;
    for (Thread thread : threads) {
      LockSupport.unpark(thread);
    }
  }
}
