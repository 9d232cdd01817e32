package io.spd4j.oracle;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.ElementType;
import io.spd4j.MomentType;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** What the oracle takes stored numbers for, by known answers; and that it finds wrong ones. */
class StorageTest {
  private static final double NONE = Double.POSITIVE_INFINITY;

  /** A word whose upper 19 bits are half of their range. */
  private static final long HALF = 0x8000_0000L;

  private static Storage sixteen(ElementType type) {
    return Storage.of(type);
  }

  @Test
  void float16IsWhatJavaSays() {
    MemorySegment one = MemorySegment.ofArray(new short[1]);
    for (int bits = 0; bits < 1 << 16; bits++) {
      one.set(JAVA_SHORT, 0, (short) bits);
      assertThat(sixteen(ElementType.FLOAT16).get(one, 0))
          .isEqualTo(Double.valueOf(Float.float16ToFloat((short) bits)));
    }
  }

  @Test
  void bfloat16IsTheUpperHalf() {
    MemorySegment one = MemorySegment.ofArray(new short[1]);
    for (int bits = 0; bits < 1 << 16; bits++) {
      one.set(JAVA_SHORT, 0, (short) bits);
      assertThat(sixteen(ElementType.BFLOAT16).get(one, 0))
          .isEqualTo(Double.valueOf(Float.intBitsToFloat(bits << 16)));
    }
  }

  /** A number a quarter of the way to the next is rounded up by a quarter of the random numbers. */
  @ParameterizedTest
  @CsvSource({
    "BFLOAT16, 0x1.008p0, 0xbfff, 0x1p0",
    "BFLOAT16, 0x1.008p0, 0xc000, 0x1.02p0",
    "BFLOAT16, -0x1.008p0, 0xbfff, -0x1p0",
    "BFLOAT16, -0x1.008p0, 0xc000, -0x1.02p0",
    "BFLOAT16, 0x1.02p0, 0xffff, 0x1.02p0",
    "BFLOAT16, 0x1p-149, 0xfffe, 0",
    "BFLOAT16, 0x1p-149, 0xffff, 0x1p-133",
    "BFLOAT16, 0x1.fffffep127, 0, 0x1.fep127",
    "BFLOAT16, 0x1.fffffep127, 1, Infinity",
    "BFLOAT16, -Infinity, 0xffff, -Infinity",
    "FLOAT16, 0x1.001p0, 0x17ff, 0x1p0",
    "FLOAT16, 0x1.001p0, 0x1800, 0x1.004p0",
    "FLOAT16, 0x1.001p0, 0x3800, 0x1.004p0", // 13 bits count
    "FLOAT16, 0x1p-26, 0x17ff, 0",
    "FLOAT16, -0x1p-26, 0x1800, -0x1p-24",
    "FLOAT16, 0x1.5p-37, 0x1ffe, 0", // rounded to 2^-37 first
    "FLOAT16, 0x1.5p-37, 0x1fff, 0x1p-24",
    "FLOAT16, 0x1p-38, 0x1fff, 0",
    "FLOAT16, 0x1.8p-37, 0x1ffe, 0x1p-24", // a tie, to an even number
    "FLOAT16, 65519, 0x1fff, Infinity",
    "FLOAT16, 65519, 0, 65504",
    "FLOAT16, 1e30, 0, Infinity",
  })
  void stochasticRounding(ElementType type, double x, String random, double expected) {
    Bounded rounded = sixteen(type).rounded(Bounded.exact(x), Long.decode(random));
    assertThat(rounded.value()).isEqualTo(expected);
  }

  @Test
  void whatIsRoundedInDoubtIsOneOfBothNeighbours() {
    Storage storage = sixteen(ElementType.BFLOAT16);
    assertThat(storage.rounded(Bounded.exact(0x1.008p0), Storage.UNKNOWN))
        .isEqualTo(new Bounded(0x1.01p0, 0x1p-8));
    assertThat(storage.rounded(Bounded.exact(-0x1.04p0), Storage.UNKNOWN))
        .isEqualTo(Bounded.exact(-0x1.04p0));
    assertThat(storage.rounded(new Bounded(0x1.008p0, 0x1p-20), 0x4000))
        .isEqualTo(Bounded.exact(1));
    assertThat(storage.rounded(new Bounded(0x1.008p0, 0x1p-20), 0xc000))
        .isEqualTo(new Bounded(0x1.01p0, 0x1p-8));
  }

  private static double part(ElementType type, Bounded x, long random, int stored) {
    BoundedArray array = new BoundedArray(1, sixteen(type), i -> random);
    array.set(0, x);
    return array.part(MemorySegment.ofArray(new short[] {(short) stored}));
  }

  @Test
  void theOtherNeighbourIsWrong() {
    Bounded x = Bounded.exact(0x1.008p0);
    assertThat(part(ElementType.BFLOAT16, x, 0x1234, 0x3f80)).isZero();
    assertThat(part(ElementType.BFLOAT16, x, 0x1234, 0x3f81)).isEqualTo(NONE);
    assertThat(part(ElementType.BFLOAT16, x, 0xf234, 0x3f80)).isEqualTo(NONE);
    assertThat(part(ElementType.BFLOAT16, x, 0xf234, 0x3f81)).isZero();
    assertThat(part(ElementType.BFLOAT16, x, Storage.UNKNOWN, 0x3f80)).isZero();
    assertThat(part(ElementType.BFLOAT16, x, Storage.UNKNOWN, 0x3f81)).isZero();
    assertThat(part(ElementType.BFLOAT16, x, Storage.UNKNOWN, 0x3f82)).isEqualTo(NONE);
    assertThat(part(ElementType.BFLOAT16, x, 0, 0x7fc0)).isEqualTo(NONE);
    Bounded unbounded = new Bounded(1, NONE);
    assertThat(part(ElementType.BFLOAT16, unbounded, 0, 0x7fc0)).isZero();
    assertThat(part(ElementType.BFLOAT16, unbounded, 0, 0xffc0)).isEqualTo(NONE);
    assertThat(part(ElementType.FLOAT16, unbounded, 0, 0x7e00)).isZero();
    assertThat(part(ElementType.FLOAT16, unbounded, 0, 0x7e01)).isEqualTo(NONE);
  }

  @ParameterizedTest
  @EnumSource(names = {"BFLOAT16", "FLOAT16"})
  void theHalfOfTheWordIsThatOfTheMoment(ElementType type) {
    Storage first = Storage.of(MomentType.BFLOAT16, 1, false);
    Storage second = Storage.of(MomentType.BFLOAT16, 1, true);
    Bounded x = Bounded.exact(0x1.01p0);
    assertThat(first.rounded(x, 0x8000_0000L).value()).isEqualTo(1);
    assertThat(second.rounded(x, 0x8000_0000L).value()).isEqualTo(0x1.02p0);
    assertThat(first.rounded(x, 0x8000L).value()).isEqualTo(0x1.02p0);
    assertThat(second.rounded(x, 0x8000L).value()).isEqualTo(1);
  }

  /** Makes the numbers of a group of three, their bounds, and what is stored of them. */
  private static double part(boolean second, double[] x, double error, float scale, int... codes) {
    return drawn(second, x, error, HALF, scale, codes);
  }

  private static double drawn(
      boolean second, double[] x, double error, long word, float scale, int... codes) {
    Storage storage = Storage.of(MomentType.BLOCKWISE_8BIT, 3, second);
    BoundedArray array = new BoundedArray(3, storage, i -> i == 0 ? word : 0);
    MemorySegment stored = MemorySegment.ofArray(new float[2]);
    for (int i = 0; i < 3; i++) {
      array.set(i, new Bounded(x[i], Double.isFinite(x[i]) ? error : NONE));
      stored.set(JAVA_BYTE, i, (byte) codes[i]);
    }
    stored.set(JAVA_FLOAT, 4, scale);
    return array.part(stored);
  }

  @Test
  void firstMomentsOf8Bits() {
    float scale = 127 * (1f / 127);
    double[] m = {127, -63.4, 0.49};
    assertThat(part(false, m, 0, scale, 127, -63, 0)).isZero();
    assertThat(part(false, m, 0, scale, 127, -64, 0)).isEqualTo(NONE);
    assertThat(part(false, m, 0.2, scale, 127, -64, 0)).isZero();
    assertThat(part(false, new double[] {127, 2.5, -1.5}, 0, scale, 127, 2, -2)).isZero();
    assertThat(part(false, m, 0, scale, 126, -63, 0)).isEqualTo(NONE);
    assertThat(part(false, m, 0, scale, 127, -63, 1)).isEqualTo(NONE);
    assertThat(part(false, m, 0, Math.nextUp(scale), 127, -63, 0)).isEqualTo(NONE);
    assertThat(part(false, m, 0, Float.NaN, 0, 0, 0)).isEqualTo(NONE);
    double[] zeros = new double[3];
    assertThat(part(false, zeros, 0, 0x1p-100f, 0, 0, 0)).isZero();
    assertThat(part(false, zeros, 0, 0, 0, 0, 0)).isEqualTo(NONE);
    double[] infinite = {1, Double.NEGATIVE_INFINITY, 0};
    assertThat(part(false, infinite, 0, Float.NaN, 0, 0, 0)).isZero();
    assertThat(part(false, infinite, 0, Float.NaN, 0, 1, 0)).isEqualTo(NONE);
  }

  /** With a scale of 1, the first 16 codes are 1 to 1/2 in steps of 1/32. */
  @Test
  void secondMomentsOf8Bits() {
    double[] v = {1, 0x1p-1, 0x1p-20};
    assertThat(part(true, v, 0, 1, 0, 16, 255)).isZero();
    assertThat(part(true, v, 0, 1, 0, 15, 255)).isEqualTo(NONE);
    assertThat(part(true, v, 0, 1, 0, 17, 255)).isEqualTo(NONE);
    assertThat(part(true, v, 0, 1, 0, 16, 254)).isEqualTo(NONE);
    assertThat(part(true, v, 0, 1, 0, 16, 0)).isEqualTo(NONE);
    assertThat(part(true, v, 0, Math.nextUp(1f), 0, 16, 255)).isEqualTo(NONE);
    double[] nearest = {1, 1 - 0.49 / 32, 1 - 0.51 / 32};
    assertThat(part(true, nearest, 0, 1, 0, 0, 1)).isZero();
    assertThat(part(true, nearest, 0, 1, 0, 1, 1)).isEqualTo(NONE);
    assertThat(part(true, nearest, 0.02 / 32, 1, 0, 1, 0)).isZero();
    assertThat(part(true, nearest, 0.02 / 32, 1, 0, 2, 0)).isEqualTo(NONE);
    assertThat(drawn(true, nearest, 0, HALF / 2, 1, 0, 0, 0)).isZero();
    assertThat(drawn(true, nearest, 0, 0x8280_0000L, 1, 0, 0, 1)).isZero();
    assertThat(drawn(true, nearest, 0, 0x82a0_0000L, 1, 0, 1, 1)).isZero();
    assertThat(drawn(true, nearest, 0, 0xffff_ffffL, 1, 0, 1, 1)).isZero();
    assertThat(drawn(true, nearest, 0, 0xffff_ffffL, 1, 1, 1, 1)).isEqualTo(NONE);
    assertThat(part(true, new double[3], 0, 0, 0, 0, 0)).isZero();
    assertThat(part(true, new double[3], 0, 0x1p-111f, 255, 255, 255)).isEqualTo(NONE);
    assertThat(part(true, new double[] {0, 0x1p-140, 0}, 0, 0x1p-111f, 255, 255, 255)).isZero();
  }

  @ParameterizedTest
  @CsvSource({"0, 1", "1, 0.96875", "16, 0.5", "32, 0.25", "240, 0x1p-15", "255, 0x1.1p-16"})
  void codesOfSecondMoments(int code, double value) {
    MemorySegment stored = MemorySegment.ofArray(new float[2]);
    stored.set(JAVA_BYTE, 0, (byte) code);
    stored.set(JAVA_FLOAT, 4, 1);
    assertThat(Storage.of(MomentType.BLOCKWISE_8BIT, 1, true).get(stored, 0)).isEqualTo(value);
  }

  /** The scales begin at a multiple of 4 bytes; each serves 64 codes. */
  @ParameterizedTest
  @CsvSource({"1, 4", "4, 4", "64, 64", "65, 68", "130, 132"})
  void scalesFollowTheCodes(int numel, int begin) {
    MemorySegment stored =
        MemorySegment.ofArray(new float[(int) MomentType.BLOCKWISE_8BIT.byteSize(numel) / 4]);
    Storage storage = Storage.of(MomentType.BLOCKWISE_8BIT, numel, false);
    for (int i = 0; i < numel; i++) {
      stored.set(JAVA_BYTE, i, (byte) (i % 2 == 0 ? 1 : -1));
    }
    for (int group = 0; group < (numel + 63) / 64; group++) {
      stored.set(JAVA_FLOAT, begin + 4L * group, group + 1);
    }
    double[] expected = new double[numel];
    Arrays.setAll(expected, i -> (i % 2 == 0 ? 1 : -1) * (i / 64 + 1));
    double[] values = new double[numel];
    Arrays.setAll(values, i -> storage.get(stored, i));
    assertThat(values).isEqualTo(expected);
  }
}
