package io.spd4j;

import io.spd4j.nativelib.OffHeap;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Argument checks whose messages name the argument and the fault. */
final class Checks {
  private Checks() {}

  static double nonNegative(String name, double value) {
    if (!(value >= 0)) {
      throw new IllegalArgumentException(name + " must be 0 or more, not " + value);
    }
    return finite(name, value);
  }

  static double positive(String name, double value) {
    if (!(value > 0)) {
      throw new IllegalArgumentException(name + " must be more than 0, not " + value);
    }
    return value;
  }

  static double beta(String name, double value) {
    if (!(value >= 0 && value < 1)) {
      throw new IllegalArgumentException(name + " must be in [0, 1), not " + value);
    }
    if ((float) value == 1f) {
      throw new IllegalArgumentException(name + " " + value + " is 1 in float32");
    }
    return value;
  }

  /** Checks that a value is finite in float32, the type of the kernels' scalars. */
  static double finite(String name, double value) {
    if (!Float.isFinite((float) value)) {
      throw new IllegalArgumentException(name + " must be finite in float32, not " + value);
    }
    return value;
  }

  static void steps(String name, long value) {
    if (!isSteps(value)) {
      throw new IllegalArgumentException(name + " must be 0 to 2^53, not " + value);
    }
  }

  /** Returns whether a number is a count of steps: a checkpoint holds it as a double, exactly. */
  static boolean isSteps(long value) {
    return value >= 0 && value <= 1L << 53;
  }

  /** Checks that gradients can be added in pairs of ranks. */
  static int ranks(int size) {
    if (Integer.bitCount(size) != 1) {
      throw new IllegalArgumentException(
          "the number of ranks must be a power of two, not " + size + ": gradients add in pairs");
    }
    return size;
  }

  static <T> T notNull(String what, T value) {
    if (value == null) {
      throw new NullPointerException(what + " is null");
    }
    return value;
  }

  /**
   * Checks that a type can be stepped.
   *
   * @param what names the array and its parameter in messages
   */
  static void stepped(String what, ElementType type) {
    if (!notNull("type of the " + what, type).isStepped()) {
      throw new IllegalArgumentException(
          what + " is " + type + ": it must be FLOAT32, BFLOAT16 or FLOAT16");
    }
  }

  /**
   * Checks that a segment can serve as an array.
   *
   * @param what names the array and its parameter in messages
   * @param unit what address and size must be multiples of
   * @param bytes the size that it must have; -1 for any
   * @param content what takes so many bytes, for messages
   */
  static void array(
      String what, MemorySegment segment, int unit, long bytes, String content, boolean written) {
    notNull(what, segment);
    String fault = OffHeap.fault(segment, unit, written);
    if (fault != null) {
      throw new IllegalArgumentException(what + " " + fault);
    }
    if (bytes != 0 && hasNoSize(segment)) {
      throw new IllegalArgumentException(
          what
              + " has no size: a segment from MemorySegment.ofAddress or from native code has 0"
              + " bytes until reinterpret gives it its size (a tensor without elements: allocate"
              + " it from an arena other than the global one)");
    }
    if (bytes >= 0 && segment.byteSize() != bytes) {
      throw new IllegalArgumentException(
          what + " has " + segment.byteSize() + " bytes; " + content + " take " + bytes);
    }
  }

  /**
   * Returns the size in bytes of an array. Beyond a long it is {@link Long#MAX_VALUE}, which no
   * array has.
   */
  static long byteSizeOrMost(long numel, ElementType type) {
    return numel > Long.MAX_VALUE / type.byteSize() ? Long.MAX_VALUE : numel * type.byteSize();
  }

  /**
   * Checks that this thread can use an array.
   *
   * @param what names the array and its parameter in messages
   * @throws IllegalStateException if its arena is closed
   * @throws WrongThreadException if its arena is confined to another thread
   */
  static void accessible(String what, MemorySegment segment) {
    if (!segment.scope().isAlive()) {
      throw new IllegalStateException(what + " lies in an arena that is closed");
    }
    if (!segment.isAccessibleBy(Thread.currentThread())) {
      throw new WrongThreadException(what + " lies in a confined arena of another thread");
    }
  }

  /** Returns whether a segment may be a mere address: those are in the global scope. */
  private static boolean hasNoSize(MemorySegment segment) {
    return segment.byteSize() == 0 && segment.scope().equals(Arena.global().scope());
  }
}
