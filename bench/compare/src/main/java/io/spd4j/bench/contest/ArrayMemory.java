package io.spd4j.bench.contest;

import io.spd4j.Adam;
import io.spd4j.Backend;
import io.spd4j.cuda.CudaDevice;
import io.spd4j.cuda.CudaException;
import io.spd4j.cuda.CudaStream;
import io.spd4j.cuda.DeviceArena;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.BiConsumer;

/**
 * Where the arrays of a backend lie: in the host's memory or, for CUDA, in that of the first
 * device, which the host reaches by copies only. One thread at a time.
 */
public final class ArrayMemory implements AutoCloseable {
  /** A cache line, and the widest vector. */
  static final long ALIGNMENT = 64;

  /** Bytes that are filled at a time where they have to be copied. */
  private static final long PIECE = 1 << 22;

  private final Backend backend;
  private final CudaStream stream;
  private final Arena arena;

  /** What the host writes before it is copied; null until it is needed. */
  private MemorySegment piece;

  /**
   * @param backend null: the library's choice for the host's memory
   * @throws IllegalStateException if it is CUDA and there is no device; the message says why
   * @throws CudaException if CUDA fails
   */
  public ArrayMemory(Backend backend) {
    this.backend = backend;
    stream = backend == Backend.CUDA ? CudaStream.create(CudaDevice.of(0)) : null;
    arena = stream == null ? Arena.ofShared() : DeviceArena.open(stream.device());
  }

  /** The stream of the copies and the steps; null: the memory is the host's. */
  public CudaStream stream() {
    return stream;
  }

  /** Begins an optimizer over arrays of this memory. */
  public Adam.Builder adam() {
    Adam.Builder builder = Adam.builder();
    if (backend != null) {
      builder.backend(backend);
    }
    return stream == null ? builder : builder.stream(stream);
  }

  /** An array of zeros, which lives until this is closed. */
  public MemorySegment allocate(long bytes) {
    return arena.allocate(bytes, ALIGNMENT);
  }

  /** Copies off-heap memory of the host, which can be reused at once, to an array. */
  private void write(MemorySegment host, MemorySegment array) {
    if (stream == null) {
      array.copyFrom(host);
    } else {
      stream.copy(host, array);
    }
  }

  /**
   * Sets an array.
   *
   * @param values is given the offset of each piece of the array and memory for what it holds,
   *     which any thread may access
   */
  void fill(MemorySegment array, BiConsumer<Long, MemorySegment> values) {
    if (stream == null) {
      values.accept(0L, array);
      return;
    }
    if (piece == null) {
      piece = Arena.ofAuto().allocate(PIECE, ALIGNMENT);
    }
    for (long at = 0; at < array.byteSize(); at += PIECE) {
      MemorySegment part = piece.asSlice(0, Math.min(PIECE, array.byteSize() - at));
      values.accept(at, part);
      write(part, array.asSlice(at, part.byteSize()));
    }
  }

  /** A copy of off-heap memory of the host. */
  public MemorySegment copyOf(MemorySegment host) {
    MemorySegment array = allocate(host.byteSize());
    write(host, array);
    return array;
  }

  /** Off-heap memory of the host as an array that steps only read: itself, if they can. */
  public MemorySegment input(MemorySegment host) {
    return stream == null ? host : copyOf(host);
  }

  /** What an array holds after all steps so far: itself, if the host can read it. */
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
