package io.spd4j.kernel;

/**
 * How elements are stored: conversions between float32, which steps compute in, and the types of
 * the arrays. As in {@code native/include/codec.h}.
 */
final class Codec {
  private static final int ABSOLUTE = 0x7fffffff;
  private static final int INFINITY = 0x7f800000;

  private Codec() {}

  static float fromBfloat16(short x) {
    return Float.intBitsToFloat(x << 16);
  }

  static float fromFloat16(short x) {
    return Float.float16ToFloat(x);
  }

  /** Joins the halves of a float32. */
  static float join(short high, short low) {
    return Float.intBitsToFloat((high << 16) + low);
  }

  /** Returns the nearest bfloat16, ties away from 0: the high half of a float32. */
  static short high(float x) {
    return (short) (Float.floatToRawIntBits(x) + 0x8000 >>> 16);
  }

  /** Returns the low half of a float32. */
  static short low(float x) {
    return (short) Float.floatToRawIntBits(x);
  }

  /** Rounds to one of the two neighbours; the low 16 bits of a random word decide. */
  static short toBfloat16(float x, int word) {
    int bits = Float.floatToRawIntBits(x);
    int rounded = bits + (word & 0xffff) >>> 16;
    return (short) ((bits & ABSOLUTE) > INFINITY ? 0x7fc0 : rounded);
  }

  /** Rounds to one of the two neighbours; the low 13 bits of a random word decide. */
  static short toFloat16(float x, int word) {
    int bits = Float.floatToRawIntBits(x);
    int magnitude = bits & ABSOLUTE;
    if (magnitude > INFINITY) {
      return 0x7e00;
    }
    int random = word & 0x1fff;
    int normal = magnitude - (112 << 23) + random >>> 13;
    // 2^23 + |x| 2^37 has |x| in units of 2^-37 as its mantissa
    float mantissa = Float.intBitsToFloat(magnitude) * 0x1p37f + 0x1p23f;
    int small = Float.floatToRawIntBits(mantissa) - 0x4b000000 + random >>> 13;
    int finite = magnitude < 0x38800000 ? small : normal;
    return (short) (Math.min(finite, 0x7c00) | bits >>> 16 & 0x8000);
  }
}
