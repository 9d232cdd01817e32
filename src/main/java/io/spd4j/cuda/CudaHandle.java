package io.spd4j.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.IntSupplier;
import java.util.function.ToIntFunction;

/** Something of CUDA's that is known by a pointer and has to be destroyed. */
abstract sealed class CudaHandle implements AutoCloseable permits CudaStream, CudaEvent, CudaGraph {
  private final CudaDevice device;
  private final MemorySegment handle;
  private final Uses uses = new Uses("this " + getClass().getSimpleName());

  CudaHandle(CudaDevice device, MemorySegment handle) {
    this.device = device;
    this.handle = handle;
  }

  /**
   * What a constructor of CUDA's writes to the pointer that it is given; it returns a cudaError.
   */
  static MemorySegment made(CudaDevice device, String what, ToIntFunction<MemorySegment> call) {
    if (device == null) {
      throw new NullPointerException("device is null");
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment pointer = arena.allocate(ValueLayout.ADDRESS);
      device.run(what, () -> call.applyAsInt(pointer));
      return pointer.get(ValueLayout.ADDRESS, 0);
    }
  }

  /** Destroys it; returns a cudaError. */
  abstract int destroy();

  MemorySegment pointer() {
    return handle;
  }

  Uses uses() {
    return uses;
  }

  /** The device that it belongs to. */
  public CudaDevice device() {
    return device;
  }

  /**
   * Calls CUDA while this cannot be closed.
   *
   * @throws IllegalStateException if this is closed
   */
  void use(String what, IntSupplier call) {
    uses.acquire();
    try {
      device.run(what, call);
    } finally {
      uses.release();
    }
  }

  /**
   * Gives it back to CUDA, which keeps what is needed for work that is not done yet: nothing is
   * waited for and nothing is lost. A second time does nothing.
   *
   * @throws IllegalStateException if a call uses it at this moment; it is still open then
   * @throws CudaException if CUDA or earlier work failed
   */
  @Override
  public void close() {
    if (uses.close()) {
      device.run("closing a " + getClass().getSimpleName(), this::destroy);
    }
  }
}
