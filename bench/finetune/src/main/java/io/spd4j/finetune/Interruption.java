package io.spd4j.finetune;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Ctrl-C: the JVM's end waits until the job has written what there is. Thread-safe. */
final class Interruption implements AutoCloseable {
  /** Enough for a step and the report; a job that hangs must not keep the JVM for ever. */
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

  /** Whether the job is to come to its end. */
  boolean requested() {
    return requested;
  }

  /** The job is done: nothing waits for it any longer. */
  @Override
  public void close() {
    finished.countDown();
    if (!requested) {
      try {
        Runtime.getRuntime().removeShutdownHook(hook);
      } catch (IllegalStateException shuttingDown) {
        // and then the hook, too, is at its end
      }
    }
  }
}
