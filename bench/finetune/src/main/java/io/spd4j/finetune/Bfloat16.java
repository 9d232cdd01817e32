package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.MemorySegment;

/**
 * Conversions between float32 and bfloat16, its upper half. oneDNN's may lose the sign of a zero
 * and make a tiny value 0; these give the same bits everywhere.
 */
final class Bfloat16 {
  private static final int INFINITY = 0x7f800000;
  private static final int NAN = 0x7fc0;

  private Bfloat16() {}

  /** Rounds float32 values to the nearest, ties to even; every NaN becomes the same. */
  static void round(MemorySegment floats, MemorySegment halves) {
    for (int i = 0; i < (int) (floats.byteSize() / Float.BYTES); i++) {
      int bits = floats.getAtIndex(JAVA_INT, i);
      int rounded = bits + 0x7fff + (bits >>> 16 & 1) >>> 16;
      int nan = INFINITY - (bits & Integer.MAX_VALUE) >> 31; // all bits, without a branch
      halves.setAtIndex(JAVA_SHORT, i, (short) (rounded & ~nan | NAN & nan));
    }
  }

  /** Writes the float32 values that bfloat16 values are. */
  static void widen(MemorySegment halves, MemorySegment floats) {
    for (int i = 0; i < (int) (floats.byteSize() / Float.BYTES); i++) {
      floats.setAtIndex(JAVA_INT, i, halves.getAtIndex(JAVA_SHORT, i) << 16);
    }
  }
}
