package io.spd4j;

import io.spd4j.cuda.CudaStream;
import io.spd4j.cuda.DeviceArena;
import io.spd4j.kernel.Interpolands;
import io.spd4j.kernel.Place;
import java.lang.foreign.MemorySegment;

/**
 * Linear interpolation between two arrays of weights, for WiSE-FT: a network whose weights lie
 * between the pre-trained and the fine-tuned ones often keeps the accuracy of the fine-tuned one
 * and more of the robustness of the pre-trained one. Choose alpha on held-out data. See Wortsman et
 * al., "Robust fine-tuning of zero-shot models", CVPR 2022.
 *
 * <p>Element by element, dst = (1 − alpha)·from + alpha·to, computed in float32, where each weight,
 * product and sum is rounded once. Alpha 0 gives exactly {@code from} and alpha 1 exactly {@code
 * to}; if their type is also that of {@code dst}, these are copies of the bits, those of NaNs too.
 * Otherwise, where {@code from} and {@code to} are equal, rounding may move the result a little
 * away from them. Results of 16 bits are rounded to nearest, ties to even. The bits are the same on
 * every backend (native/NUMERICS.md), except that a NaN computed in float32 may have others.
 *
 * <p>Each array is FLOAT32, BFLOAT16 or FLOAT16, starts at a multiple of its element's size, and
 * has as many elements as the others, which may be 0. {@code dst} may be {@code from} or {@code to}
 * itself, with the same type; otherwise it overlaps neither. All lie in host memory, or all in the
 * memory of one CUDA device. In device memory the work is enqueued onto a stream, nothing waits,
 * and it can be captured in a CUDA graph.
 *
 * <p>All methods throw, before anything is written:
 *
 * <ul>
 *   <li>{@link NullPointerException} if an argument is null
 *   <li>{@link IllegalArgumentException} if an array is not as described, lies in a closed arena or
 *       in memory that the backend or the stream's device does not use, or if {@code dst} is
 *       read-only; if alpha is not 0 to 1; or if {@code -Dspd4j.backend} names no backend
 *   <li>{@link WrongThreadException} if host memory is confined to another thread
 *   <li>{@link IllegalStateException} if the backend is not available or the stream is closed
 *   <li>{@link io.spd4j.cuda.CudaException} if CUDA fails
 * </ul>
 *
 * <p>Thread-safe as long as the arrays are. A call uses only the caller's thread; to use several,
 * interpolate slices of the arrays in parallel, which gives the same bits. If another thread closes
 * an arena of host memory meanwhile, either that thread gets an {@link IllegalStateException}, or
 * this call does: before it begins, or, in plain Java and where bits are copied, also in the
 * middle, when {@code dst} may be half written.
 */
public final class Interpolation {
  private Interpolation() {}

  /** Interpolates float32 arrays on the backend that steps would use. */
  public static void interpolate(
      MemorySegment from, MemorySegment to, double alpha, MemorySegment dst) {
    interpolate(
        from, ElementType.FLOAT32, to, ElementType.FLOAT32, alpha, dst, ElementType.FLOAT32);
  }

  /**
   * Interpolates on the backend that steps would use: in host memory the one that {@code
   * -Dspd4j.backend} names, else the first available one; in device memory CUDA, on the legacy
   * default stream of the device.
   */
  public static void interpolate(
      MemorySegment from,
      ElementType fromType,
      MemorySegment to,
      ElementType toType,
      double alpha,
      MemorySegment dst,
      ElementType dstType) {
    Interpolands a = checked(from, fromType, to, toType, alpha, dst, dstType);
    run(a, place(System.getProperty("spd4j.backend"), dst, null));
  }

  /** Interpolates on a given backend; on CUDA, on the legacy default stream of the device. */
  public static void interpolate(
      MemorySegment from,
      ElementType fromType,
      MemorySegment to,
      ElementType toType,
      double alpha,
      MemorySegment dst,
      ElementType dstType,
      Backend backend) {
    Checks.notNull("backend", backend);
    Interpolands a = checked(from, fromType, to, toType, alpha, dst, dstType);
    run(a, place(backend.id(), dst, null));
  }

  /** Interpolates in device memory, in the order of a stream of that device. */
  public static void interpolate(
      MemorySegment from,
      ElementType fromType,
      MemorySegment to,
      ElementType toType,
      double alpha,
      MemorySegment dst,
      ElementType dstType,
      CudaStream stream) {
    Checks.notNull("stream", stream);
    Interpolands a = checked(from, fromType, to, toType, alpha, dst, dstType);
    run(a, place(Backend.CUDA.id(), dst, stream));
  }

  private static Place place(String backend, MemorySegment dst, CudaStream stream) {
    return Place.of(backend, dst, stream, 1, null);
  }

  /** Checks what does not depend on the place. */
  static Interpolands checked(
      MemorySegment from,
      ElementType fromType,
      MemorySegment to,
      ElementType toType,
      double alpha,
      MemorySegment dst,
      ElementType dstType) {
    Checks.stepped("from", Checks.notNull("fromType", fromType));
    Checks.stepped("to", Checks.notNull("toType", toType));
    Checks.stepped("dst", Checks.notNull("dstType", dstType));
    if (!(alpha >= 0 && alpha <= 1)) {
      throw new IllegalArgumentException("alpha must be 0 to 1, not " + alpha);
    }
    Checks.array("from", from, fromType.byteSize(), -1, "", false);
    long numel = from.byteSize() / fromType.byteSize();
    array("to", to, toType, numel, false);
    array("dst", dst, dstType, numel, true);
    refuseOverlap("from", from, fromType, dst, dstType);
    refuseOverlap("to", to, toType, dst, dstType);
    return new Interpolands(from, fromType, to, toType, alpha, dst, dstType);
  }

  private static void array(
      String name, MemorySegment array, ElementType type, long numel, boolean written) {
    String content = numel + " elements of " + type;
    Checks.array(
        name, array, type.byteSize(), Checks.byteSizeOrMost(numel, type), content, written);
  }

  private static void refuseOverlap(
      String name, MemorySegment array, ElementType type, MemorySegment dst, ElementType dstType) {
    boolean same = array.address() == dst.address() && type == dstType;
    if (!same && array.asOverlappingSlice(dst).isPresent()) {
      throw new IllegalArgumentException(
          "dst overlaps " + name + ", but is not " + name + " itself with the same type");
    }
  }

  static void run(Interpolands a, Place place) {
    check("from", a.from(), place);
    check("to", a.to(), place);
    check("dst", a.dst(), place);
    if (!a.copies()) {
      place.interpolate(a);
    } else if (a.copied().address() != a.dst().address()) {
      place.copy(a.copied(), a.dst());
    }
  }

  private static void check(String name, MemorySegment array, Place place) {
    String fault = place.fault(array);
    if (fault != null) {
      throw new IllegalArgumentException(name + " " + fault);
    }
    if (!DeviceArena.isDevice(array) && !array.isAccessibleBy(Thread.currentThread())) {
      throw new WrongThreadException(name + " lies in a confined arena of another thread");
    }
  }
}
