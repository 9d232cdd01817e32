package io.spd4j.bench.contest;

import io.spd4j.Adam;
import io.spd4j.Backend;
import io.spd4j.cuda.CudaDevice;
import io.spd4j.cuda.CudaException;
import io.spd4j.cuda.CudaStream;
import io.spd4j.cuda.DeviceArena;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.Consumer;

/**
 * The memory of a backend's arrays: host memory or, for CUDA, the first device's memory, which the
 * host can only copy to and from. For use by one thread at a time.
 */
public final class ArrayMemory implements AutoCloseable {
  /** The size of a cache line and of the widest vector. */
  static final long ALIGNMENT = 64;

  private final Backend backend;
  private final CudaStream stream;
  private final Arena arena;

  /**
   * @param backend null: the library's choice for host memory
   * @throws IllegalStateException if the backend is CUDA and there is no device; the message says
   *     why
   * @throws CudaException if CUDA fails
   */
  public ArrayMemory(Backend backend) {
    this.backend = backend;
    stream = backend == Backend.CUDA ? CudaStream.create(CudaDevice.of(0)) : null;
    arena = stream == null ? Arena.ofShared() : DeviceArena.open(stream.device());
  }

  /** Returns the stream of the copies and the steps; null for host memory. */
  public CudaStream stream() {
    return stream;
  }

  /** Returns an optimizer builder for arrays in this memory. */
  public Adam.Builder adam() {
    Adam.Builder builder = Adam.builder();
    if (backend != null) {
      builder.backend(backend);
    }
    return stream == null ? builder : builder.stream(stream);
  }

  /** Returns an array of zeros that lives until this memory is closed. */
  public MemorySegment allocate(long bytes) {
    return arena.allocate(bytes, ALIGNMENT);
  }

  /** Copies off-heap host memory, which can be reused at once, to an array. */
  private void write(MemorySegment host, MemorySegment array) {
    if (stream == null) {
      array.copyFrom(host);
    } else {
      stream.copy(host, array);
    }
  }

  /**
   * Fills an array.
   *
   * @param fill fills host memory of the array's size, which any thread may access
   */
  void fill(MemorySegment array, Consumer<MemorySegment> fill) {
    if (stream == null) {
      fill.accept(array);
      return;
    }
    try (Arena host = Arena.ofShared()) {
      MemorySegment values = host.allocate(array.byteSize(), ALIGNMENT);
      fill.accept(values);
      write(values, array);
    }
  }

  /** Returns an array with a copy of off-heap host memory. */
  public MemorySegment copyOf(MemorySegment host) {
    MemorySegment array = allocate(host.byteSize());
    write(host, array);
    return array;
  }

  /** Returns off-heap host memory as an array that steps only read; copies it only to a device. */
  public MemorySegment input(MemorySegment host) {
    return stream == null ? host : copyOf(host);
  }

  /** Returns an array's content after all steps so far; copies it only from a device. */
  public MemorySegment output(MemorySegment array) {
    if (stream == null) {
      return array;
    }
    MemorySegment host = Arena.ofAuto().allocate(array.byteSize(), ALIGNMENT);
    stream.copy(array, host);
    return host;
  }

  @Override
  public void close() {
    arena.close();
    if (stream != null) {
      stream.close();
    }
  }
}
