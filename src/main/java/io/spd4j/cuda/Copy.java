package io.spd4j.cuda;

import io.spd4j.generated.cudart.cudart_h;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_h;
import io.spd4j.nativelib.OffHeap;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/** A copy between two segments that has been found possible. */
record Copy(Side src, Side dst) {
  private static final MethodHandle ASYNC = cudart_h.cudaMemcpyAsync$handle();
  private static final MethodHandle WAITING = spd4j_cuda_h.spd4j_cuda_copy$handle();

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
      String fault = OffHeap.fault(segment, 1, written);
      CudaArena arena = CudaArena.ofLive(name, segment); // behind: that it is closed goes first
      if (fault != null) {
        throw new IllegalArgumentException(name + " " + fault);
      }
      return new Side(segment, arena);
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

  /**
   * Enqueues it, and waits for it if nobody else would; returns a cudaError. Calls the handles:
   * jextract's methods wrap exceptions.
   */
  int enqueue(MemorySegment stream) {
    MemorySegment to = dst.argument();
    MemorySegment from = src.argument();
    try {
      return waitedFor()
          ? (int) ASYNC.invokeExact(to, from, bytes(), kind(), stream)
          : (int) WAITING.invokeExact(to, from, bytes(), kind(), stream);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError("a downcall threw a checked exception", e);
    }
  }
}
