package io.spd4j.cuda;

import io.spd4j.generated.cudart.cudart_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A point in the work of a stream, made by {@link CudaStream#record}. Other streams and the host
 * can wait for it, and the time between two events can be measured. Thread-safe.
 */
public final class CudaEvent extends CudaHandle {
  private final Capture capture;

  private CudaEvent(CudaDevice device, MemorySegment handle, Capture capture) {
    super(device, handle);
    this.capture = capture;
  }

  static CudaEvent create(CudaDevice device, Capture capture) {
    MemorySegment handle =
        made(
            device,
            "creating an event",
            pointer -> cudart_h.cudaEventCreateWithFlags(pointer, cudart_h.cudaEventDefault()));
    return new CudaEvent(device, handle, capture);
  }

  /** Returns the capture that the event was recorded in; null if there was none. */
  Capture capture() {
    return capture;
  }

  /**
   * Waits for the work that the stream had been given before the event was recorded.
   *
   * @throws IllegalStateException if the event is closed
   * @throws CudaException if CUDA or that work failed, or the event was recorded in a capture
   */
  public void synchronize() {
    use("waiting for an event", () -> cudart_h.cudaEventSynchronize(pointer()));
  }

  /**
   * Waits for two events and returns the milliseconds from the other one to this one, with a
   * resolution of about half a microsecond.
   *
   * @param earlier an event of the same device
   * @throws IllegalArgumentException if the other event is of another device
   * @throws IllegalStateException if an event is closed
   * @throws CudaException if CUDA or earlier work failed, or an event was recorded in a capture
   */
  public double millisSince(CudaEvent earlier) {
    if (earlier.device() != device()) {
      throw new IllegalArgumentException("the events are of different devices");
    }
    earlier.synchronize();
    synchronize();
    earlier.uses().acquire();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment millis = arena.allocate(ValueLayout.JAVA_FLOAT);
      use("timing", () -> cudart_h.cudaEventElapsedTime(millis, earlier.pointer(), pointer()));
      return millis.get(ValueLayout.JAVA_FLOAT, 0);
    } finally {
      earlier.uses().release();
    }
  }

  @Override
  int destroy() {
    return cudart_h.cudaEventDestroy(pointer());
  }
}
