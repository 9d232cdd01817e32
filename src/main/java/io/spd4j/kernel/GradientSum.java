package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.spd4j.ElementType;
import java.lang.foreign.MemorySegment;

/**
 * Adds gradients in their own type: float32 with one rounding; 16 bits as float32, rounded to
 * nearest, ties to even. So a sum of 16 bits has 16 bits again, wherever it is sent next.
 */
public final class GradientSum {
  private GradientSum() {}

  /**
   * Adds element by element: to = left + right, where {@code to} may be one of the two.
   *
   * @param type FLOAT32, BFLOAT16 or FLOAT16
   */
  public static void add(
      ElementType type, MemorySegment left, MemorySegment right, MemorySegment to) {
    long numel = to.byteSize() / type.byteSize();
    switch (type) {
      case FLOAT32 -> {
        for (long i = 0; i < numel; i++) {
          to.setAtIndex(
              JAVA_FLOAT, i, left.getAtIndex(JAVA_FLOAT, i) + right.getAtIndex(JAVA_FLOAT, i));
        }
      }
      case BFLOAT16 -> {
        for (long i = 0; i < numel; i++) {
          float l = Codec.fromBfloat16(left.getAtIndex(JAVA_SHORT, i));
          float r = Codec.fromBfloat16(right.getAtIndex(JAVA_SHORT, i));
          to.setAtIndex(JAVA_SHORT, i, Codec.nearestBfloat16(l + r));
        }
      }
      case FLOAT16 -> {
        for (long i = 0; i < numel; i++) {
          float l = Codec.fromFloat16(left.getAtIndex(JAVA_SHORT, i));
          float r = Codec.fromFloat16(right.getAtIndex(JAVA_SHORT, i));
          to.setAtIndex(JAVA_SHORT, i, Codec.nearestFloat16(l + r));
        }
      }
      default -> throw new AssertionError(type);
    }
  }
}
