package io.spd4j.nativelib;

import java.lang.foreign.MemorySegment;

/** Checks that a segment can be passed to native code as an array. */
public final class OffHeap {
  private OffHeap() {}

  /**
   * Returns what is wrong with a segment, to follow its name in a message; null if nothing is, and
   * then nothing is allocated.
   *
   * @param elementSize the size of an element in bytes, a power of two
   */
  public static String fault(MemorySegment segment, int elementSize, boolean written) {
    if (!segment.isNative()) {
      return "lies on the Java heap: allocate it from an Arena, or wrap a direct ByteBuffer"
          + " (ByteBuffer.allocateDirect; in DJL, NDArray.toByteBuffer(true))";
    }
    if (!segment.scope().isAlive()) {
      return "lies in an arena that is closed";
    }
    if (segment.byteSize() % elementSize != 0) {
      return "has " + segment.byteSize() + " bytes, not a multiple of " + elementSize;
    }
    if (segment.address() % elementSize != 0) {
      return "starts at an address that is not a multiple of " + elementSize;
    }
    return written && segment.isReadOnly() ? "is read-only, but is written" : null;
  }
}
