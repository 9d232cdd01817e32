package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.MemorySegment;

/** Reads moments of any type, as native/NUMERICS.md says what is stored. */
final class StoredMoments {
  private StoredMoments() {}

  /** Returns an element of m. */
  static float first(Parameter p, long i) {
    return switch (p.momentType()) {
      case FLOAT32 -> Tensors.get(p.expAvg(), ElementType.FLOAT32, i);
      case BFLOAT16 -> Tensors.get(p.expAvg(), ElementType.BFLOAT16, i);
      case BLOCKWISE_8BIT -> p.expAvg().get(JAVA_BYTE, i) * scale(p, p.expAvg(), i);
    };
  }

  /** Returns an element of v. */
  static float second(Parameter p, long i) {
    MemorySegment v = p.expAvgSq();
    return switch (p.momentType()) {
      case FLOAT32 -> Tensors.get(v, ElementType.FLOAT32, i);
      case BFLOAT16 -> Tensors.get(v, ElementType.BFLOAT16, i);
      case BLOCKWISE_8BIT -> {
        int scale = v.get(JAVA_INT, offset(p, i));
        yield Float.intBitsToFloat(scale - (Byte.toUnsignedInt(v.get(JAVA_BYTE, i)) << 19));
      }
    };
  }

  /** Returns the scale of an element of 8-bit moments. */
  static float scale(Parameter p, MemorySegment moment, long i) {
    return moment.get(JAVA_FLOAT, offset(p, i));
  }

  private static long offset(Parameter p, long i) {
    return 4 * (Math.ceilDiv(p.numel(), 4) + i / 64);
  }
}
