package io.spd4j.cuda;

import io.spd4j.generated.cudart.cudart_h;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_h;
import io.spd4j.nativelib.OffHeap;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/** A copy from one segment to another whose arguments have been checked. */
record Copy(Side src, Side dst) {
  private static final MethodHandle ASYNC = cudart_h.cudaMemcpyAsync$handle();
  private static final MethodHandle WAITING = spd4j_cuda_h.spd4j_cuda_copy$handle();

  /**
   * One side of a copy.
   *
   * @param arena the arena of this package that the segment lies in; null for ordinary host memory
   */
  record Side(MemorySegment segment, CudaArena arena) {
    static Side of(String name, MemorySegment segment, boolean written) {
      if (segment == null) {
        throw new NullPointerException(name + " is null");
      }
      String fault = OffHeap.fault(segment, 1, written);
      CudaArena arena = CudaArena.ofLive(name, segment); // after fault: a closed arena throws here
      if (fault != null) {
        throw new IllegalArgumentException(name + " " + fault);
      }
      return new Side(segment, arena);
    }

    boolean onDevice() {
      return arena instanceof DeviceArena;
    }

    /**
     * Returns what to pass to CUDA: a host segment itself, which FFM then keeps alive, or a device
     * segment's address, because FFM refuses the segment.
     */
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

  /** Returns the arenas of this package whose memory the copy uses. */
  List<CudaArena> arenas() {
    return Stream.of(src.arena, dst.arena).filter(Objects::nonNull).toList();
  }

  /** Returns whether a side is host memory. */
  boolean withHost() {
    return !src.onDevice() || !dst.onDevice();
  }

  /** Returns whether both sides lie in this package's arenas, which wait before freeing memory. */
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
   * Enqueues the copy, and waits for it unless the arenas will; returns a cudaError. Calls the
   * method handles, because jextract's methods wrap exceptions.
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
