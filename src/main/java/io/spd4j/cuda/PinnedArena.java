package io.spd4j.cuda;

import io.spd4j.generated.cudart.cudart_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Page-locked memory of the host, as segments that Java code reads and writes from any thread.
 * Copies between it and a device run behind the caller's back and at full speed; until one is done
 * ({@link CudaStream#synchronize}) what it reads must not be written and what it writes not be
 * read. Page-locked memory is taken from the whole machine: be sparing with it.
 *
 * <p>Thread-safe. Memory of an arena that is not closed stays allocated.
 */
public final class PinnedArena extends CudaArena {
  /** CUDA promises nothing; as malloc. */
  private static final long ALIGNMENT = 16;

  private PinnedArena(CudaDevice device) {
    super(device, Arena.ofShared(), ALIGNMENT);
  }

  /**
   * Opens an arena.
   *
   * @param device in whose context the memory is allocated; streams of every device can use it
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
