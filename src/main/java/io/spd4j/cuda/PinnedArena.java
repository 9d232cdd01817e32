package io.spd4j.cuda;

import io.spd4j.generated.cudart.cudart_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * An arena of page-locked host memory, which Java code can read and write from any thread. Copies
 * between it and a device run asynchronously and at full speed. Until a copy is done ({@link
 * CudaStream#synchronize}), its source must not be written and its destination must not be read.
 * Page-locked memory is taken from the whole machine, so use it sparingly.
 *
 * <p>Thread-safe. Memory stays allocated until the arena is closed.
 */
public final class PinnedArena extends CudaArena {
  /** The alignment of malloc, in bytes; CUDA promises none. */
  private static final long ALIGNMENT = 16;

  private PinnedArena(CudaDevice device) {
    super(device, Arena.ofShared(), ALIGNMENT);
  }

  /**
   * Opens an arena.
   *
   * @param device the memory is allocated in its context; streams of every device can use it
   */
  public static PinnedArena open(CudaDevice device) {
    if (device == null) {
      throw new NullPointerException("device is null");
    }
    return new PinnedArena(device);
  }

  @Override
  String kind() {
    return "page-locked memory";
  }

  @Override
  int malloc(MemorySegment pointer, long bytes) {
    return cudart_h.cudaHostAlloc(pointer, bytes, cudart_h.cudaHostAllocPortable());
  }

  @Override
  int free(MemorySegment address) {
    return cudart_h.cudaFreeHost(address);
  }

  @Override
  MemorySegment zeroed(long address, long bytes) {
    return MemorySegment.ofAddress(address).reinterpret(bytes, lifetime(), null).fill((byte) 0);
  }

  @Override
  void closeLifetime(Arena lifetime) {
    lifetime.close();
  }

  @Override
  void checkUser(CudaDevice user) {}
}
