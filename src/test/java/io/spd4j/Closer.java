package io.spd4j;

import static java.nio.channels.FileChannel.MapMode.READ_WRITE;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Closes something in a thread of its own while another thread uses it. */
public final class Closer {
  private final Thread thread;
  private int refused;

  /** Starts the thread: it waits, and then tries to close until that is not refused. */
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

  /** Waits for the thread; returns how often closing was refused. */
  public int join() throws InterruptedException {
    thread.join();
    return refused;
  }

  /** Spins for that long. */
  public static void pause(long nanos) {
    long begin = System.nanoTime();
    while (System.nanoTime() - begin < nanos) {
      Thread.onSpinWait();
    }
  }

  /** Maps a new file: closing the arena unmaps it at once, but free may leave memory readable. */
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
