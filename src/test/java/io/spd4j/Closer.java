package io.spd4j;

import static java.nio.channels.FileChannel.MapMode.READ_WRITE;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Closes a resource in a new thread while another thread uses it. */
public final class Closer {
  private final Thread thread;
  private int refused;

  /** Starts a thread that waits, then calls close again and again until it is not refused. */
  public Closer(long nanos, AutoCloseable victim) {
    thread = Thread.ofPlatform().start(() -> close(nanos, victim));
  }

  private void close(long nanos, AutoCloseable victim) {
    pause(nanos);
    while (true) {
      try {
        victim.close();
        return;
      } catch (IllegalStateException inUse) {
        refused++;
        Thread.onSpinWait();
      } catch (Exception e) {
        throw new AssertionError(e);
      }
    }
  }

  /** Returns whether the thread has ended: the resource is closed, or it never will be. */
  public boolean hasEnded() {
    return !thread.isAlive();
  }

  /** Waits for the thread to end; returns how often close was refused. */
  public int join() throws InterruptedException {
    thread.join();
    return refused;
  }

  /** Spins for a number of nanoseconds. */
  public static void pause(long nanos) {
    long begin = System.nanoTime();
    while (System.nanoTime() - begin < nanos) {
      Thread.onSpinWait();
    }
  }

  /** Maps a new file: closing its arena unmaps it at once, while freed memory may stay readable. */
  public static MemorySegment mapped(Arena arena, Path path, long bytes) {
    try (FileChannel file =
        FileChannel.open(
            path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      return file.map(READ_WRITE, 0, bytes, arena);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
