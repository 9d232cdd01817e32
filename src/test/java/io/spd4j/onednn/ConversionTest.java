package io.spd4j.onednn;

import static io.spd4j.ElementType.BFLOAT16;
import static io.spd4j.ElementType.FLOAT16;
import static io.spd4j.ElementType.FLOAT32;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.ElementType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Conversions of single bit patterns. */
class ConversionTest {
  @BeforeAll
  static void available() {
    Cases.assumeOneDnn();
  }

  /** Converts patterns, each in an int. */
  private static int[] convert(ElementType from, ElementType to, int... patterns) {
    try (OneDnn oneDnn = OneDnn.open(1);
        Arena arena = Arena.ofConfined()) {
      int n = patterns.length;
      MemorySegment src = arena.allocate((long) n * from.byteSize(), from.byteSize());
      MemorySegment dst = arena.allocate((long) n * to.byteSize(), to.byteSize());
      for (int i = 0; i < n; i++) {
        if (from == FLOAT32) {
          src.setAtIndex(JAVA_INT, i, patterns[i]);
        } else {
          src.setAtIndex(JAVA_SHORT, i, (short) patterns[i]);
        }
      }
      oneDnn.conversion(n, from, to).forward(src, dst);
      int[] converted = new int[n];
      for (int i = 0; i < n; i++) {
        converted[i] =
            to == FLOAT32
                ? dst.getAtIndex(JAVA_INT, i)
                : Short.toUnsignedInt(dst.getAtIndex(JAVA_SHORT, i));
      }
      return converted;
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1, 3f800000, 3f80, 3c00",
    "-2, c0000000, c000, c000",
    "0, 00000000, 0000, 0000",
    "infinity, 7f800000, 7f80, 7c00",
    "-infinity, ff800000, ff80, fc00",
    "1/3, 3eaaaaab, 3eab, 3555",
    "the largest of binary16, 477fe000, 4780, 7bff",
    "too large for binary16, 47800000, 4780, 7c00",
    "the largest float: too large for both, 7f7fffff, 7f80, 7c00",
    "the smallest subnormal of binary16, 33800000, 3380, 0001",
    "half of that: to even, 33000000, 3300, 0000",
    "a tie of bfloat16: to even below, 3f808000, 3f80, 3c04",
    "a tie of bfloat16: to even above, 3f818000, 3f82, 3c0c",
    "just above a tie of bfloat16, 3f808001, 3f81, 3c04",
    "a tie of binary16: to even below, 3f801000, 3f80, 3c00",
    "a tie of binary16: to even above, 3f803000, 3f80, 3c02",
    "just above a tie of binary16, 3f801001, 3f80, 3c01",
  })
  void roundsToNearestAndTiesToEven(String what, String f32, String bf16, String f16) {
    // Also with enough values to fill the widest vector.
    for (int n : new int[] {1, 37}) {
      int[] patterns = new int[n];
      Arrays.fill(patterns, Integer.parseUnsignedInt(f32, 16));
      assertThat(convert(FLOAT32, BFLOAT16, patterns)).containsOnly(Integer.parseInt(bf16, 16));
      assertThat(convert(FLOAT32, FLOAT16, patterns)).containsOnly(Integer.parseInt(f16, 16));
    }
  }

  @Test
  void roundsAsJavaDoes() {
    SplittableRandom random = new SplittableRandom(1);
    int[] patterns =
        random.ints(10_000).filter(i -> Float.isFinite(Float.intBitsToFloat(i))).toArray();
    int[] halves = convert(FLOAT32, FLOAT16, patterns);
    for (int i = 0; i < patterns.length; i++) {
      short expected = Float.floatToFloat16(Float.intBitsToFloat(patterns[i]));
      assertThat(halves[i]).isEqualTo(Short.toUnsignedInt(expected));
    }
  }

  /**
   * Widening is exact, so each of the 65,536 patterns comes back. A NaN may come back as any NaN, a
   * zero as any zero, and a value that is subnormal in float32 also as zero.
   */
  @ParameterizedTest
  @CsvSource({"BFLOAT16", "FLOAT16"})
  void everyPatternSurvivesTheWayThroughF32(ElementType type) {
    int[] all = IntStream.range(0, 1 << 16).toArray();
    int[] wide = convert(type, FLOAT32, all);
    int[] back = convert(FLOAT32, type, wide);
    for (int i = 0; i < all.length; i++) {
      float expected =
          type == FLOAT16 ? Float.float16ToFloat((short) i) : Float.intBitsToFloat(i << 16);
      if (Float.isNaN(expected)) {
        assertThat(Float.intBitsToFloat(wide[i])).isNaN();
        assertThat(isNan(type, back[i])).isTrue();
      } else {
        boolean subnormal = Math.abs(expected) < Float.MIN_NORMAL;
        assertThat(wide[i])
            .matches(x -> Float.intBitsToFloat(x) == expected || subnormal && x << 1 == 0);
        int pattern = i;
        assertThat(back[i]).matches(x -> x == pattern || subnormal && (x & 0x7fff) == 0);
      }
    }
  }

  private static boolean isNan(ElementType type, int pattern) {
    return (pattern & 0x7fff) > (type == FLOAT16 ? 0x7c00 : 0x7f80);
  }

  @Test
  void aNanStaysANan() {
    for (int pattern : new int[] {0x7fc00000, 0xffc00000, 0x7f800001, 0x7fffffff, 0xff812345}) {
      for (ElementType type : new ElementType[] {BFLOAT16, FLOAT16}) {
        assertThat(isNan(type, convert(FLOAT32, type, pattern)[0]))
            .as("%x to %s", pattern, type)
            .isTrue();
      }
    }
  }
}
