package io.spd4j.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.IntSupplier;
import java.util.function.ToIntFunction;

/** A CUDA object that is known by a pointer and has to be destroyed. */
abstract sealed class CudaHandle implements AutoCloseable permits CudaStream, CudaEvent, CudaGraph {
  private final CudaDevice device;
  private final MemorySegment handle;
  private final Uses uses = new Uses("this " + getClass().getSimpleName());

  CudaHandle(CudaDevice device, MemorySegment handle) {
    this.device = device;
    this.handle = handle;
  }

  /** Returns the handle that a CUDA call, which returns a cudaError, writes to its argument. */
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

  /** Destroys the CUDA object; returns a cudaError. */
  abstract int destroy();

  MemorySegment pointer() {
    return handle;
  }

  Uses uses() {
    return uses;
  }

  /** Returns the device that this object belongs to. */
  public CudaDevice device() {
    return device;
  }

  /**
   * Calls CUDA and keeps this object open meanwhile.
   *
   * @throws IllegalStateException if this object is closed
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
   * Closes this object. CUDA keeps what unfinished work needs, so nothing is waited for and nothing
   * is lost. A second call does nothing.
   *
   * @throws IllegalStateException if a call is using this object, which then stays open
   * @throws CudaException if CUDA or earlier work failed
   */
  @Override
  public void close() {
    if (uses.close()) {
      device.run("closing a " + getClass().getSimpleName(), this::destroy);
    }
  }
}
