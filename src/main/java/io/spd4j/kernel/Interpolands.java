package io.spd4j.kernel;

import io.spd4j.ElementType;
import java.lang.foreign.MemorySegment;

/**
 * Two arrays to interpolate between, and the array that receives the result: dst = (1 − alpha)·from
 * + alpha·to, as in {@code native/include/interpolation.h}. All have as many elements. A weight of
 * 0 leaves its array out.
 *
 * @param alpha from 0 to 1
 * @param dst overlaps neither of the others, or is one of them, with the same type
 */
public record Interpolands(
    MemorySegment from,
    ElementType fromType,
    MemorySegment to,
    ElementType toType,
    double alpha,
    MemorySegment dst,
    ElementType dstType) {
  /** Returns the number of elements of each array. */
  public long numel() {
    return dst.byteSize() / dstType.byteSize();
  }

  /** Returns the weight of {@link #from}. */
  public float fromWeight() {
    return (float) (1 - alpha);
  }

  /** Returns the weight of {@link #to}. */
  public float toWeight() {
    return (float) alpha;
  }

  /** Returns whether the result is a copy of the bits of one array. */
  public boolean copies() {
    return toWeight() == 0 && fromType == dstType || fromWeight() == 0 && toType == dstType;
  }

  /** Returns the array that is copied. */
  public MemorySegment copied() {
    return toWeight() == 0 ? from : to;
  }
}
