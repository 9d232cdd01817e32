package io.spd4j.oracle;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * 8-bit moments: a code for each element, padding to a multiple of 4 bytes, and a float scale for
 * each 64 elements. A group with a number that is not finite is NaN.
 *
 * <p>What is stored depends on the number and on the group's largest. Within the bounds of the
 * latter, the scale that the run stored is taken as given. With it, a larger number never gets a
 * code that stands for a smaller one, so that the ends of a bound give the first and the last code.
 */
abstract sealed class Blockwise implements Storage {
  private static final int GROUP = 64;
  private static final int NAN = 0x7fc00000;

  private final int length;

  private Blockwise(int length) {
    this.length = length;
  }

  /** Returns the scale of a group whose largest magnitude this is. */
  abstract double scale(double largest);

  /**
   * Returns the code of x.
   *
   * @param word the random word of the group's first element
   */
  abstract double code(double x, float scale, long word);

  /** Returns what a code, of which these are the eight bits, stands for. */
  abstract double value(int bits, float scale);

  /** Returns the number that eight bits are. */
  abstract int number(byte code);

  private float scale(MemorySegment array, int group) {
    return array.get(ValueLayout.JAVA_FLOAT, (length + 3) / 4 * 4L + 4L * group);
  }

  @Override
  public double get(MemorySegment array, int index) {
    return value(array.get(ValueLayout.JAVA_BYTE, index), scale(array, index / GROUP));
  }

  @Override
  public Bounded rounded(Bounded x, long random) {
    throw new UnsupportedOperationException(
        "a moment in 8 bits depends on those beside it, and no step goes on with it");
  }

  @Override
  public double part(BoundedArray numbers, MemorySegment stored) {
    boolean right = true;
    for (int group = 0; group * GROUP < length; group++) {
      right &= isRight(numbers, stored, group);
    }
    return right ? 0 : Double.POSITIVE_INFINITY;
  }

  private boolean isRight(BoundedArray numbers, MemorySegment stored, int group) {
    double least = 0;
    double most = 0;
    int end = Math.min(length, group * GROUP + GROUP);
    for (int i = group * GROUP; i < end; i++) {
      Bounded x = numbers.get(i);
      boolean bounded = Double.isFinite(x.error());
      least = Math.max(least, bounded ? Math.abs(x.value()) - x.error() : 0);
      most = Math.max(most, bounded ? x.most() : Double.POSITIVE_INFINITY);
    }
    float scale = scale(stored, group);
    if (Float.isNaN(scale)) {
      boolean zeros = true;
      for (int i = group * GROUP; i < end; i++) {
        zeros &= stored.get(ValueLayout.JAVA_BYTE, i) == 0;
      }
      return most == Double.POSITIVE_INFINITY && Float.floatToRawIntBits(scale) == NAN && zeros;
    }
    long word = numbers.word(group * GROUP);
    boolean right = scale(least) <= scale && scale <= scale(most);
    for (int i = group * GROUP; i < end; i++) {
      Bounded x = numbers.get(i);
      if (Double.isFinite(x.error())) {
        double one = code(x.value() - x.error(), scale, word);
        double other = code(x.value() + x.error(), scale, word);
        int code = number(stored.get(ValueLayout.JAVA_BYTE, i));
        right &= Math.min(one, other) <= code && code <= Math.max(one, other);
      }
    }
    return right;
  }

  /** m: multiples of a 127th of the largest magnitude, rounded to nearest. */
  static final class First extends Blockwise {
    private static final double A_127TH = (float) (1.0 / 127);
    private static final double LEAST = 0x1p-100;

    First(int length) {
      super(length);
    }

    @Override
    double scale(double largest) {
      return Math.max((float) (largest * A_127TH), LEAST);
    }

    /** The product is rounded to a float, and then to an integer, ties to even. */
    @Override
    double code(double x, float scale, long word) {
      double inverse = (float) (1.0 / scale);
      return Math.rint((float) (x * inverse));
    }

    @Override
    double value(int code, float scale) {
      return (float) ((double) code * scale);
    }

    @Override
    int number(byte code) {
      return code;
    }
  }

  /**
   * v: sixteen codes for a factor of 2, downwards from the largest, by the bits of the float. A
   * number of 19 random bits, the same for the whole group, is added to the distance in bits.
   */
  static final class Second extends Blockwise {
    private static final double LEAST = 0x1p-111;
    private static final double BITS_OF_A_CODE = 0x1p19;

    Second(int length) {
      super(length);
    }

    @Override
    double scale(double largest) {
      return largest > 0 ? Math.max(largest, LEAST) : 0;
    }

    @Override
    double code(double x, float scale, long word) {
      double distance = bits(scale) - bits(Math.max(0, x)) + (word >> 13);
      return Math.clamp(Math.floor(distance / BITS_OF_A_CODE), 0, 255);
    }

    /** Returns the bits of a float, also of the numbers between floats. */
    private static double bits(double x) {
      int exponent = Math.max(-126, Math.getExponent(x));
      double mantissa = Math.scalb(x, -exponent); // 1 to 2; below 1 if subnormal
      return (exponent + 126 + mantissa) * 0x1p23;
    }

    @Override
    double value(int code, float scale) {
      int bits = Float.floatToRawIntBits(scale) - number((byte) code) * (int) BITS_OF_A_CODE;
      return Float.intBitsToFloat(bits);
    }

    @Override
    int number(byte code) {
      return Byte.toUnsignedInt(code);
    }
  }
}
