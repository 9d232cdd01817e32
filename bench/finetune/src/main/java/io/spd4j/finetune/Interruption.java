package io.spd4j.finetune;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * On Ctrl-C, delays the end of the JVM until the job has written its results so far. Thread-safe.
 */
final class Interruption implements AutoCloseable {
  /** Enough for a step and the report. A job that hangs must not keep the JVM alive forever. */
  private static final int SECONDS = 60;

  private final CountDownLatch finished = new CountDownLatch(1);
  private final Thread hook = new Thread(this::interrupt, "finetune-interruption");
  private volatile boolean requested;

  Interruption() {
    Runtime.getRuntime().addShutdownHook(hook);
  }

  private void interrupt() {
    requested = true;
    try {
      finished.await(SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Returns whether the job must end. */
  boolean requested() {
    return requested;
  }

  /** Ends the wait, because the job is done. */
  @Override
  public void close() {
    finished.countDown();
    if (!requested) {
      try {
        Runtime.getRuntime().removeShutdownHook(hook);
      } catch (IllegalStateException shuttingDown) {
        // the hook has just been released
      }
    }
  }
}
