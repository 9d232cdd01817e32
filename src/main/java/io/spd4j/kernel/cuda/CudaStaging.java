package io.spd4j.kernel.cuda;

import io.spd4j.cuda.CudaDevice;
import io.spd4j.cuda.CudaEvent;
import io.spd4j.cuda.CudaStream;
import io.spd4j.cuda.PinnedArena;
import java.lang.foreign.MemorySegment;

/**
 * Sends a few bytes of host memory to a device without waiting for it: they are copied to
 * page-locked memory first. There are several pieces of it, because the device reads each one
 * later.
 */
final class CudaStaging implements AutoCloseable {
  /** Sends that can be under way before the next one waits. */
  private static final int PIECES = 8;

  private final PinnedArena arena;
  private final MemorySegment[] pieces = new MemorySegment[PIECES];

  /** Events after the last copy from each piece; null if there was none. */
  private final CudaEvent[] sent = new CudaEvent[PIECES];

  private int next;

  /**
   * @param bytes the most bytes of one send
   */
  CudaStaging(CudaDevice device, long bytes) {
    arena = PinnedArena.open(device);
    try {
      for (int i = 0; i < PIECES; i++) {
        pieces[i] = arena.allocate(bytes, Double.BYTES);
      }
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  void send(CudaStream stream, MemorySegment from, MemorySegment to) {
    if (sent[next] != null) {
      sent[next].synchronize();
      sent[next].close();
      sent[next] = null;
    }
    stream.copy(pieces[next].asSlice(0, from.byteSize()).copyFrom(from), to);
    sent[next] = stream.record();
    next = (next + 1) % PIECES;
  }

  /** Waits for the device. */
  @Override
  public void close() {
    try {
      for (CudaEvent event : sent) {
        if (event != null) {
          event.close();
        }
      }
    } finally {
      arena.close();
    }
  }
}
