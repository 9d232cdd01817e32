package io.spd4j.kernel;

/**
 * How elements are stored: conversions between float32, which steps compute in, and the types of
 * the arrays. As in {@code native/include/codec.h}.
 */
final class Codec {
  /** Elements that share a scale in 8-bit moments. */
  static final int GROUP = 64;

  private static final int ABSOLUTE = 0x7fffffff;
  private static final int INFINITY = 0x7f800000;

  private Codec() {}

  static float fromBfloat16(short x) {
    return Float.intBitsToFloat(x << 16);
  }

  /** Exact; only the payload of a NaN may differ from that of codec.h. */
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

  /** Rounds to the nearest neighbour, ties to even. */
  static short nearestBfloat16(float x) {
    return toBfloat16(x, 0x7fff + (Float.floatToRawIntBits(x) >>> 16 & 1));
  }

  /** Rounds to the nearest neighbour, ties to even. */
  static short nearestFloat16(float x) {
    return x == x ? Float.floatToFloat16(x) : 0x7e00;
  }

  /** Returns the offset in bytes of the scales in an array of 8-bit moments. */
  static long scales(long numel) {
    return Math.ceilDiv(numel, Float.BYTES) * Float.BYTES;
  }

  /** Returns the largest of a group's bits without sign: NaN is larger than infinity. */
  private static int largest(float[] group, int begin, int end) {
    int largest = 0;
    for (int i = begin; i < end; i++) {
      largest = Math.max(largest, Float.floatToRawIntBits(group[i]) & ABSOLUTE);
    }
    return largest;
  }

  /** Converts a group of first moments to codes and returns its scale. */
  static float toFirst(float[] m, int begin, int end, byte[] codes) {
    int largest = largest(m, begin, end);
    float scale = firstScale(largest);
    float inverse = 1 / scale;
    int mask = mask(largest);
    for (int i = begin; i < end; i++) {
      // The sum is a whole number whose low byte is the code in two's complement.
      codes[i] = (byte) (Float.floatToRawIntBits(m[i] * inverse + 0x1.8p23f) & mask);
    }
    return scale;
  }

  /** Returns the scale of a group of first moments: a 127th of the largest, or NaN. */
  static float firstScale(int largest) {
    return largest < INFINITY
        ? Math.max(Float.intBitsToFloat(largest) * (1f / 127), 0x1p-100f)
        : Float.NaN;
  }

  /** Returns what codes of a group are masked with: 0 if the group is NaN. */
  static int mask(int largest) {
    return largest < INFINITY ? -1 : 0;
  }

  static float fromFirst(float scale, byte code) {
    return code * scale;
  }

  /**
   * Converts a group of second moments to codes and returns its scale.
   *
   * @param word the random word of the group's first element, whose upper 19 bits round each code
   */
  static float toSecond(float[] v, int begin, int end, int word, byte[] codes) {
    int largest = largest(v, begin, end);
    int scale = secondScale(largest);
    int from = scale + (word >>> 13);
    int mask = mask(largest);
    for (int i = begin; i < end; i++) {
      int code = from - Float.floatToRawIntBits(v[i]) >>> 19;
      codes[i] = (byte) (Math.min(code, 255) & mask);
    }
    return Float.intBitsToFloat(scale);
  }

  /** Returns the bits of the scale of a group of second moments: the largest of them, or NaN. */
  static int secondScale(int largest) {
    int least = 0x08000000; // so that no code leads below 0
    int finite = largest == 0 ? 0 : Math.max(largest, least);
    return largest < INFINITY ? finite : 0x7fc00000;
  }

  static float fromSecond(float scale, byte code) {
    return Float.intBitsToFloat(Float.floatToRawIntBits(scale) - ((code & 0xff) << 19));
  }
}
