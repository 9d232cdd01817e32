package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.Interpolands;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Consumer;

/**
 * Arrays to interpolate between, with values of every kind, and the result worked out in double.
 */
record InterpolationCase(
    ElementType fromType, ElementType toType, ElementType dstType, long numel, double alpha) {
  static final List<ElementType> TYPES =
      List.of(ElementType.FLOAT32, ElementType.BFLOAT16, ElementType.FLOAT16);

  /** None, less than the lanes that make a row, a row, and a row and a rest. */
  private static final long[] SIZES = {0, 1, 63, 64, 65};

  /** A block, another row and a rest. */
  private static final long LARGE = 4096 + 64 + 1;

  private static final double[] ALPHAS = {0, 1e-60, 0.25, 0.5, 1};

  private static final float[] SPECIAL = {
    Float.NaN,
    Float.intBitsToFloat(0xffffffff), // rounded like a number, it would become 0
    Float.intBitsToFloat(0x7f800001), // cut off, it would become infinity
    Float.POSITIVE_INFINITY,
    Float.NEGATIVE_INFINITY,
    0f,
    -0f,
    Float.MAX_VALUE,
    -Float.MAX_VALUE,
    Float.MIN_VALUE,
    -0x1p-127f,
    65504
  };

  /**
   * Lists every mixture of types with every size, each with 0.3 and with one other alpha, in turn.
   * Interpreted vectors are slow, so there are large arrays of nine mixtures only, in which every
   * type meets every other.
   */
  static List<InterpolationCase> all() {
    List<InterpolationCase> all = new ArrayList<>();
    int n = TYPES.size();
    for (int mix = 0; mix < n * n * n; mix++) {
      int from = mix % n;
      int to = mix / n % n;
      int dst = mix / n / n;
      for (int size = 0; size < SIZES.length; size++) {
        double other = ALPHAS[(mix + size) % ALPHAS.length];
        all.add(of(from, to, dst, SIZES[size], 0.3));
        all.add(of(from, to, dst, SIZES[size], other));
      }
      if (dst == (from + to) % n) {
        all.add(of(from, to, dst, LARGE, 0.3));
      }
    }
    return all;
  }

  private static InterpolationCase of(int from, int to, int dst, long numel, double alpha) {
    return new InterpolationCase(TYPES.get(from), TYPES.get(to), TYPES.get(dst), numel, alpha);
  }

  MemorySegment from(Arena arena) {
    return array(arena, fromType, 1);
  }

  MemorySegment to(Arena arena) {
    return array(arena, toType, 2);
  }

  MemorySegment dst(Arena arena) {
    return arena.allocate(numel * dstType.byteSize(), dstType.byteSize()).fill((byte) 3);
  }

  /** Returns an array that starts one element after a multiple of 64 bytes. */
  private MemorySegment array(Arena arena, ElementType type, long seed) {
    MemorySegment array =
        arena
            .allocate((numel + 1) * type.byteSize(), 64)
            .asSlice(type.byteSize(), numel * type.byteSize());
    SplittableRandom random = new SplittableRandom(seed);
    for (long i = 0; i < numel; i++) {
      float x = (float) Math.scalb(random.nextDouble(-1, 1), random.nextInt(-30, 3));
      Tensors.set(
          array, type, i, random.nextInt(4) == 0 ? SPECIAL[random.nextInt(SPECIAL.length)] : x);
    }
    return array;
  }

  Interpolands checked(MemorySegment from, MemorySegment to, MemorySegment dst) {
    return Interpolation.checked(from, fromType, to, toType, alpha, dst, dstType);
  }

  /** Interpolates copies of the arrays and asserts that the result is right. */
  void assertBits(Arena arena, Consumer<Interpolands> run) {
    MemorySegment from = from(arena);
    MemorySegment to = to(arena);
    MemorySegment dst = dst(arena);
    MemorySegment expected = expected(arena, from, to);
    run.accept(checked(from, to, dst));
    assertSame(dst, expected);
    if (dstType == fromType) {
      MemorySegment inPlace = Tensors.copy(arena, from);
      run.accept(checked(inPlace, to, inPlace));
      assertSame(inPlace, expected);
    }
    if (dstType == toType) {
      MemorySegment inPlace = Tensors.copy(arena, to);
      run.accept(checked(from, inPlace, inPlace));
      assertSame(inPlace, expected);
    }
  }

  /** Products of floats are exact in double; a sum rounded to double and then to float is right. */
  MemorySegment expected(Arena arena, MemorySegment from, MemorySegment to) {
    float fromWeight = (float) (1 - alpha);
    float toWeight = (float) alpha;
    MemorySegment expected = dst(arena);
    if (toWeight == 0 && fromType == dstType || fromWeight == 0 && toType == dstType) {
      return expected.copyFrom(toWeight == 0 ? from : to);
    }
    for (long i = 0; i < numel; i++) {
      float x = Tensors.get(from, fromType, i);
      float y = Tensors.get(to, toType, i);
      float fromPart = (float) ((double) fromWeight * x);
      float toPart = (float) ((double) toWeight * y);
      float sum = (float) ((double) fromPart + toPart);
      set(expected, i, toWeight == 0 ? x : fromWeight == 0 ? y : sum);
    }
    return expected;
  }

  /** Sets an element of an array of dst's type. */
  private void set(MemorySegment array, long i, float value) {
    if (Float.isNaN(value) && dstType != ElementType.FLOAT32) {
      array.setAtIndex(JAVA_SHORT, i, (short) (dstType == ElementType.BFLOAT16 ? 0x7fc0 : 0x7e00));
    } else {
      Tensors.set(array, dstType, i, value);
    }
  }

  /**
   * Asserts that two arrays of dst's type have the same bits, except that any NaN in float32 is
   * like any other.
   */
  void assertSame(MemorySegment actual, MemorySegment expected) {
    if (actual.mismatch(expected) == -1) {
      return;
    }
    for (long i = 0; i < numel; i++) {
      float is = Tensors.get(actual, dstType, i);
      float right = Tensors.get(expected, dstType, i);
      boolean alike = dstType == ElementType.FLOAT32 && Float.isNaN(is) && Float.isNaN(right);
      if (bits(actual, i) != bits(expected, i) && !alike) {
        assertThat(is).as("element %d of %s", i, this).isEqualTo(right);
        assertThat(bits(actual, i)).as("element %d of %s", i, this).isEqualTo(bits(expected, i));
      }
    }
  }

  private int bits(MemorySegment array, long i) {
    return dstType == ElementType.FLOAT32
        ? array.getAtIndex(JAVA_INT, i)
        : array.getAtIndex(JAVA_SHORT, i);
  }
}
