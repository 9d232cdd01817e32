package io.spd4j.cuda;

import io.spd4j.generated.cudart.cudart_h;
import io.spd4j.nativelib.OffHeap;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/** A copy between two segments that has been found possible. */
record Copy(Side src, Side dst) {
  private static final MethodHandle MEMCPY = cudart_h.cudaMemcpyAsync$handle();

  /**
   * A segment as one side of a copy.
   *
   * @param arena null: ordinary memory of the host
   */
  record Side(MemorySegment segment, CudaArena arena) {
    static Side of(String name, MemorySegment segment, boolean written) {
      if (segment == null) {
        throw new NullPointerException(name + " is null");
      }
      if (!segment.scope().isAlive()) {
        throw new IllegalStateException(name + " lies in an arena that is closed");
      }
      String fault = OffHeap.fault(segment, 1, written);
      if (fault != null) {
        throw new IllegalArgumentException(name + " " + fault);
      }
      return new Side(segment, CudaArena.of(segment));
    }

    boolean onDevice() {
      return arena instanceof DeviceArena;
    }

    /** FFM keeps host memory alive during the call, and refuses device memory. */
    MemorySegment argument() {
      return onDevice() ? MemorySegment.ofAddress(segment.address()) : segment;
    }
  }

  /** Checks everything that can be checked without a stream. */
  static Copy of(MemorySegment src, MemorySegment dst) {
    Copy copy = new Copy(Side.of("src", src, false), Side.of("dst", dst, true));
    if (src.byteSize() != dst.byteSize()) {
      throw new IllegalArgumentException(
          "src has %d bytes, dst has %d".formatted(src.byteSize(), dst.byteSize()));
    }
    if (!copy.src.onDevice() && !copy.dst.onDevice()) {
      throw new IllegalArgumentException(
          "neither src nor dst is device memory: use MemorySegment.copy");
    }
    if (src.asOverlappingSlice(dst).isPresent()) {
      throw new IllegalArgumentException("src and dst overlap");
    }
    return copy;
  }

  long bytes() {
    return src.segment.byteSize();
  }

  /** The arenas of this package that it uses. */
  List<CudaArena> arenas() {
    return Stream.of(src.arena, dst.arena).filter(Objects::nonNull).toList();
  }

  /** Whether one side is not the device's. */
  boolean withHost() {
    return !src.onDevice() || !dst.onDevice();
  }

  /** Whether all memory is of arenas that wait for devices before they free it. */
  boolean waitedFor() {
    return src.arena != null && dst.arena != null;
  }

  private int kind() {
    if (!src.onDevice()) {
      return cudart_h.cudaMemcpyHostToDevice();
    }
    return dst.onDevice() ? cudart_h.cudaMemcpyDeviceToDevice() : cudart_h.cudaMemcpyDeviceToHost();
  }

  /** Enqueues it; returns a cudaError. Calls the handle: jextract's method wraps exceptions. */
  int enqueue(MemorySegment stream) {
    try {
      return (int) MEMCPY.invokeExact(dst.argument(), src.argument(), bytes(), kind(), stream);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError("a downcall threw a checked exception", e);
    }
  }
}
