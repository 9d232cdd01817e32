package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.MemorySegment;

/**
 * Conversions between float32 and bfloat16, its upper half. oneDNN's may lose the sign of a zero
 * and make a tiny value 0; these give the same bits everywhere.
 */
final class Bfloat16 {
  private static final int INFINITY = 0x7f800000;
  private static final short NAN = 0x7fc0;

  private Bfloat16() {}

  /** Rounds float32 values to the nearest, ties to even; every NaN becomes the same. */
  static void round(MemorySegment floats, MemorySegment halves) {
    for (int i = 0; i < (int) (floats.byteSize() / Float.BYTES); i++) {
      int bits = Float.floatToRawIntBits(floats.getAtIndex(JAVA_FLOAT, i));
      int rounded = bits + 0x7fff + (bits >>> 16 & 1) >>> 16;
      boolean nan = (bits & Integer.MAX_VALUE) > INFINITY;
      halves.setAtIndex(JAVA_SHORT, i, nan ? NAN : (short) rounded);
    }
  }

  /** Writes the float32 values that bfloat16 values are. */
  static void widen(MemorySegment halves, MemorySegment floats) {
    for (int i = 0; i < (int) (floats.byteSize() / Float.BYTES); i++) {
      int bits = halves.getAtIndex(JAVA_SHORT, i) << 16;
      floats.setAtIndex(JAVA_FLOAT, i, Float.intBitsToFloat(bits));
    }
  }
}
