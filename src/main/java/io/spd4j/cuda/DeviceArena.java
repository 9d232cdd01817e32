package io.spd4j.cuda;

import io.spd4j.generated.cudart.cudaPointerAttributes;
import io.spd4j.generated.cudart.cudart_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * An arena of device memory. Its segments have their real address and size. They can be sliced,
 * copied with {@link CudaStream#copy} and given to an optimizer. Java code and FFM calls that read
 * or write one get a {@link WrongThreadException} in every thread, and so does {@code
 * allocateFrom}. A segment that {@link MemorySegment#reinterpret(long, Arena,
 * java.util.function.Consumer)} makes from such an address is not device memory to this package,
 * and reading it crashes the JVM.
 *
 * <p>Thread-safe. Memory stays allocated until the arena is closed.
 */
public final class DeviceArena extends CudaArena {
  /** The alignment in bytes that CUDA's programming guide promises for cudaMalloc. */
  private static final long ALIGNMENT = 256;

  private final CudaStream zeroing;

  private DeviceArena(CudaDevice device, CudaStream zeroing) {
    super(device, Keeper.open(), ALIGNMENT);
    this.zeroing = zeroing;
    onClose(zeroing::destroy);
  }

  /**
   * Opens an arena for a device's memory.
   *
   * @throws CudaException if CUDA fails
   */
  public static DeviceArena open(CudaDevice device) {
    return new DeviceArena(device, CudaStream.create(device));
  }

  /** Returns whether a segment lies in an open device arena. Never throws. */
  public static boolean isDevice(MemorySegment segment) {
    return CudaArena.of(segment) instanceof DeviceArena;
  }

  /**
   * Returns a segment over memory of this arena's device that something else owns, such as another
   * library's tensor. Closing the arena waits for work on that memory but does not free it.
   *
   * @param address the address of the first byte
   * @param bytes the size, 0 or more
   * @throws IllegalArgumentException if bytes is negative, or if the first or the last byte is not
   *     memory of this device; the bytes between are not checked
   * @throws IllegalStateException if the arena is closed
   * @throws CudaException if CUDA fails
   */
  public MemorySegment wrap(long address, long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("bytes must be 0 or more, not " + bytes);
    }
    acquire(device());
    try {
      if (bytes > 0) {
        checkMine(address);
        checkMine(address + bytes - 1);
      }
      return Keeper.segment(address, bytes, lifetime());
    } finally {
      release();
    }
  }

  /**
   * Declares that this arena's memory holds addresses of other memory. Work and graph launches that
   * use this arena's memory then use the other memory too: it is not freed meanwhile, and once it
   * has been freed, they are refused. Replaces an earlier declaration.
   *
   * @param memory at least one segment of each arena that is referred to: each a {@link
   *     DeviceArena} or a {@link PinnedArena}
   * @throws IllegalArgumentException if a segment lies in another arena
   * @throws IllegalStateException if an arena is closed
   */
  public void refersTo(List<MemorySegment> memory) {
    references(CudaArena.allOf("memory that is referred to", memory));
  }

  private void checkMine(long address) {
    try (Arena calls = Arena.ofConfined()) {
      MemorySegment attributes = cudaPointerAttributes.allocate(calls);
      device()
          .run(
              "asking whose memory an address is in",
              () -> lookUp(attributes, MemorySegment.ofAddress(address)));
      if (cudaPointerAttributes.type(attributes) != cudart_h.cudaMemoryTypeDevice()
          || cudaPointerAttributes.device(attributes) != device().ordinal()) {
        throw new IllegalArgumentException(
            "0x%x is not an address in the memory of %s".formatted(address, device()));
      }
    }
  }

  private static int lookUp(MemorySegment attributes, MemorySegment address) {
    int status = cudart_h.cudaPointerGetAttributes(attributes, address);
    if (status != cudart_h.cudaErrorInvalidValue()) {
      return status;
    }
    cudart_h.cudaGetLastError(); // CUDA does not know the address, and has set no type
    return cudart_h.cudaSuccess();
  }

  @Override
  String kind() {
    return "memory of " + device();
  }

  @Override
  int malloc(MemorySegment pointer, long bytes) {
    return cudart_h.cudaMalloc(pointer, bytes);
  }

  @Override
  int free(MemorySegment address) {
    return cudart_h.cudaFree(address);
  }

  @Override
  MemorySegment zeroed(long address, long bytes) {
    MemorySegment segment = Keeper.segment(address, bytes, lifetime());
    zeroing.fill(segment, (byte) 0);
    zeroing.synchronize();
    return segment;
  }

  @Override
  void closeLifetime(Arena lifetime) {
    Keeper.close(lifetime);
  }

  @Override
  void checkUser(CudaDevice user) {
    if (user != device()) {
      throw new IllegalArgumentException(
          "memory of %s cannot be used on %s".formatted(device(), user));
    }
  }
}
