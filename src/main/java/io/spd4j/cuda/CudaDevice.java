package io.spd4j.cuda;

import io.spd4j.generated.cudart.cudart_h;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.function.IntSupplier;

/**
 * A CUDA device. There is one object for each device. Thread-safe.
 *
 * <p>Calls restore the thread's previous current device, by default device 0, which makes CUDA
 * reserve memory there if it has not yet. {@code CUDA_VISIBLE_DEVICES} hides unused devices.
 */
public final class CudaDevice {
  private static final long NAME_BYTES = 256;

  private final int ordinal;
  private final String name;
  private final int major;
  private final int minor;

  /** Creates no context on the device. */
  CudaDevice(int ordinal) {
    this.ordinal = ordinal;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(NAME_BYTES);
      CudaException.check(
          "asking for the name of device " + ordinal,
          spd4j_cuda_h.spd4j_cuda_device_name(ordinal, bytes, NAME_BYTES));
      name = bytes.getString(0);
      major = attribute(arena, cudart_h.cudaDevAttrComputeCapabilityMajor());
      minor = attribute(arena, cudart_h.cudaDevAttrComputeCapabilityMinor());
    }
  }

  private int attribute(Arena arena, int attribute) {
    MemorySegment value = arena.allocate(ValueLayout.JAVA_INT);
    CudaException.check(
        "asking for an attribute of device " + ordinal,
        cudart_h.cudaDeviceGetAttribute(value, attribute, ordinal));
    return value.get(ValueLayout.JAVA_INT, 0);
  }

  /**
   * Returns the device with the given ordinal.
   *
   * @throws IllegalStateException if CUDA cannot be used here; the message says why
   * @throws IllegalArgumentException if there is no such device
   */
  public static CudaDevice of(int ordinal) {
    List<CudaDevice> devices = Cuda.devices();
    if (devices.isEmpty()) {
      throw new IllegalStateException("CUDA is not available: " + Cuda.availability().reason());
    }
    if (ordinal < 0 || ordinal >= devices.size()) {
      throw new IllegalArgumentException(
          "there is no device %d: the last one is %d".formatted(ordinal, devices.size() - 1));
    }
    return devices.get(ordinal);
  }

  /**
   * Returns the device that a segment of a {@link DeviceArena} lies on.
   *
   * @throws IllegalArgumentException if the segment lies in no device arena, or its arena is closed
   */
  public static CudaDevice of(MemorySegment segment) {
    if (CudaArena.of(segment) instanceof DeviceArena arena) {
      return arena.device();
    }
    throw new IllegalArgumentException("the segment is not device memory");
  }

  /** Returns CUDA's number of the device in this process, from 0. */
  public int ordinal() {
    return ordinal;
  }

  /** Returns NVIDIA's name of the device. */
  public String name() {
    return name;
  }

  /** Returns the compute capability's major number: 9 of 9.0. */
  public int major() {
    return major;
  }

  /** Returns the compute capability's minor number: 0 of 9.0. */
  public int minor() {
    return minor;
  }

  /**
   * Waits until the device has done all work that this process has given it. If another thread is
   * in {@link CudaStream#capture}, first waits for that capture to end.
   *
   * @throws CudaException if CUDA or the work failed, or this thread is in a capture
   */
  public void synchronize() {
    Capture.LOCK.lock();
    try {
      run("waiting for " + this, cudart_h::cudaDeviceSynchronize);
    } finally {
      Capture.LOCK.unlock();
    }
  }

  /**
   * Returns how many bytes of the device's memory are free, that is, not allocated by any process.
   *
   * @throws CudaException if CUDA fails
   */
  public long freeMemory() {
    return memory(true);
  }

  /**
   * Returns the size of the device's memory in bytes.
   *
   * @throws CudaException if CUDA fails
   */
  public long totalMemory() {
    return memory(false);
  }

  private long memory(boolean free) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment freeBytes = arena.allocate(ValueLayout.JAVA_LONG);
      MemorySegment totalBytes = arena.allocate(ValueLayout.JAVA_LONG);
      run(
          "asking for the memory of device " + ordinal,
          () -> cudart_h.cudaMemGetInfo(freeBytes, totalBytes));
      return (free ? freeBytes : totalBytes).get(ValueLayout.JAVA_LONG, 0);
    }
  }

  /**
   * Calls CUDA with this device as the thread's current one, then restores the previous one.
   *
   * @param what the action, for the exception's message, such as "counting thread blocks"
   * @param call returns a cudaError; its exceptions are passed on
   * @throws CudaException if the call does not return cudaSuccess, or the device cannot be used
   */
  public void run(String what, IntSupplier call) {
    int before = current();
    if (before == ordinal) {
      CudaException.check(what, call.getAsInt());
      return;
    }
    CudaException.check(what, cudart_h.cudaSetDevice(ordinal));
    try {
      CudaException.check(what, call.getAsInt());
    } finally {
      cudart_h.cudaSetDevice(before); // if that device is lost, its next call says so
    }
  }

  private static int current() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment device = arena.allocate(ValueLayout.JAVA_INT);
      CudaException.check("asking for the current device", cudart_h.cudaGetDevice(device));
      return device.get(ValueLayout.JAVA_INT, 0);
    }
  }

  /** Returns the name, compute capability and ordinal. */
  @Override
  public String toString() {
    return "%s (compute capability %d.%d, device %d)".formatted(name, major, minor, ordinal);
  }
}
