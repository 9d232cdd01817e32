package io.spd4j.oracle;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * 16 bits, rounded stochastically. Between neighbours of the type, a float32 lies at a multiple of
 * 1/2^randomBits of their distance. A random number of so many bits is added to the multiple, and
 * the sum is rounded towards 0.
 *
 * <p>With a given random number, a larger number is never rounded to a smaller one. So what is
 * stored lies between what the ends of a bound are rounded to: it is known exactly, unless the
 * bound is on both sides of a threshold.
 *
 * @param mantissa the bits of the mantissa that are stored
 * @param leastExponent of a normal number
 * @param randomBits how many random bits are added
 * @param shift the lowest of these bits in a random word
 * @param nan the bits of every NaN that is rounded
 */
record Sixteen(int mantissa, int leastExponent, int randomBits, int shift, int nan)
    implements Storage {
  /** Returns bfloat16: 8 bits of exponent. */
  static Sixteen bfloat16(int shift) {
    return new Sixteen(7, -126, 16, shift, 0x7fc0);
  }

  /** Returns float16: 5 bits of exponent. */
  static Sixteen float16() {
    return new Sixteen(10, -14, 13, 0, 0x7e00);
  }

  @Override
  public double get(MemorySegment array, int index) {
    return value(bits(array, index));
  }

  private static int bits(MemorySegment array, int index) {
    return Short.toUnsignedInt(array.getAtIndex(ValueLayout.JAVA_SHORT, index));
  }

  /** Returns what 16 bits stand for: a sign, an exponent, and a mantissa. */
  double value(int bits) {
    int exponent = (bits & 0x7fff) >> mantissa;
    int fraction = bits & (1 << mantissa) - 1;
    double magnitude =
        exponent == (0x7fff >> mantissa)
            ? (fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN)
            : exponent == 0
                ? fraction * spacing(leastExponent)
                : (fraction + (1 << mantissa)) * spacing(leastExponent + exponent - 1);
    return bits >= 0x8000 ? -magnitude : magnitude;
  }

  /** Returns the distance between neighbours with an exponent. */
  private double spacing(int exponent) {
    return Math.scalb(1.0, exponent - mantissa);
  }

  /** Returns the number that x is rounded to with a random number. */
  double rounded(double x, long number) {
    double magnitude = Math.abs(x);
    if (!Double.isFinite(x)) {
      return x;
    }
    double spacing = spacing(Math.max(leastExponent, Math.getExponent(magnitude)));
    double parts = Math.scalb(magnitude / spacing, randomBits);
    if (magnitude < Math.scalb(1.0, leastExponent)) {
      parts = Math.rint(parts); // for float16; in bfloat16 it is an integer for every float32
    }
    double result = Math.floor(Math.scalb(parts + number, -randomBits)) * spacing;
    boolean held = result < Math.scalb(1.0, 2 - leastExponent);
    return Math.copySign(held ? result : Double.POSITIVE_INFINITY, x);
  }

  @Override
  public Bounded rounded(Bounded x, long random) {
    if (!Double.isFinite(x.error())) {
      return x;
    }
    double low = end(x.value() - x.error(), false, random);
    double high = end(x.value() + x.error(), true, random);
    return low == high ? Bounded.exact(low) : new Bounded(low + (high - low) / 2, (high - low) / 2);
  }

  /** Returns what the end of a bound is rounded to; outwards if the random word is not known. */
  private double end(double x, boolean up, long random) {
    if (random != UNKNOWN) {
      return rounded(x, random >> shift & (1 << randomBits) - 1);
    }
    return rounded(x, x > 0 == up ? (1 << randomBits) - 1 : 0);
  }

  @Override
  public double part(BoundedArray numbers, MemorySegment stored) {
    double worst = 0;
    for (int i = 0; i < numbers.length(); i++) {
      worst = Math.max(worst, part(numbers.get(i), numbers.word(i), bits(stored, i)));
    }
    return worst;
  }

  /** Returns 0 if the stored number is right or there is no bound, else infinity. */
  private double part(Bounded x, long random, int stored) {
    double value = value(stored);
    if (Double.isNaN(value) && stored != nan) {
      return Double.POSITIVE_INFINITY;
    }
    if (!Double.isFinite(x.error())) {
      return 0;
    }
    boolean right =
        end(x.value() - x.error(), false, random) <= value
            && value <= end(x.value() + x.error(), true, random);
    return right ? 0 : Double.POSITIVE_INFINITY;
  }
}
