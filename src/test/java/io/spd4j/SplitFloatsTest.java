package io.spd4j;

import static io.spd4j.Refusals.ON_HEAP;
import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.nullPointer;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SplitFloatsTest {
  private static final int LOWS = 1 << 16;

  @AutoClose private final Arena arena = Arena.ofShared();

  /** Each sign and exponent, so zeros, subnormals, infinities and NaNs too, with each low half. */
  @Test
  void theHalvesAreTheNearestBfloat16AndTheRest() {
    SplittableRandom random = new SplittableRandom(1);
    MemorySegment values = arena.allocate(4 * LOWS, 4);
    MemorySegment high = arena.allocate(2 * LOWS, 2);
    MemorySegment low = arena.allocate(2 * LOWS, 2);
    MemorySegment joined = arena.allocate(4 * LOWS, 4);
    for (int signAndExponent = 0; signAndExponent < 512; signAndExponent++) {
      for (int mantissa : new int[] {0, 0x7f, random.nextInt(1, 0x7f)}) {
        int upper = signAndExponent << 7 | mantissa;
        for (int i = 0; i < LOWS; i++) {
          values.setAtIndex(JAVA_INT, i, upper << 16 | i);
        }
        SplitFloats.split(values, high, low);
        SplitFloats.join(high, low, joined);
        assertThat(joined.mismatch(values)).as("upper half %x", upper).isEqualTo(-1);
        for (int i = 0; i < LOWS; i++) {
          // A step from one bfloat16 to the next is 65536 of the low half. Ties go away from 0.
          int nearest = i >= LOWS / 2 ? upper + 1 : upper;
          if (high.getAtIndex(JAVA_SHORT, i) != (short) nearest
              || low.getAtIndex(JAVA_SHORT, i) != (short) i) {
            assertThat(high.getAtIndex(JAVA_SHORT, i))
                .as("high %x.%x", upper, i)
                .isEqualTo(nearest);
            assertThat(low.getAtIndex(JAVA_SHORT, i)).as("low %x.%x", upper, i).isEqualTo(i);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "0x00000000, 0x0000, 0x0000",
    "0x80000000, 0x8000, 0x0000",
    "0x3f800000, 0x3f80, 0x0000",
    "0x3f808000, 0x3f81, 0x8000", // a tie
    "0x3f807fff, 0x3f80, 0x7fff",
    "0xbf808000, 0xbf81, 0x8000",
    "0x3fffffff, 0x4000, 0xffff", // up to the next power of two
    "0x00000001, 0x0000, 0x0001", // subnormal
    "0x007fffff, 0x0080, 0xffff", // to the least normal
    "0x7f7fffff, 0x7f80, 0xffff", // the largest float's high half is infinity
    "0xff7fffff, 0xff80, 0xffff",
    "0x7f800000, 0x7f80, 0x0000",
    "0x7f800001, 0x7f80, 0x0001", // the high half of a NaN may be infinity
    "0x7fffffff, 0x8000, 0xffff", // or 0
    "0xffffffff, 0x0000, 0xffff",
    "0x7fc00000, 0x7fc0, 0x0000",
  })
  void knownAnswers(String bits, String high, String low) {
    MemorySegment[] a = arrays(4, 2, 2);
    a[0].set(JAVA_INT, 0, (int) (long) Long.decode(bits));
    SplitFloats.split(a[0], a[1], a[2]);
    assertThat(a[1].get(JAVA_SHORT, 0)).isEqualTo((short) (int) Integer.decode(high));
    assertThat(a[2].get(JAVA_SHORT, 0)).isEqualTo((short) (int) Integer.decode(low));
    a[0].fill((byte) 1);
    SplitFloats.join(a[1], a[2], a[0]);
    assertThat(a[0].get(JAVA_INT, 0)).isEqualTo((int) (long) Long.decode(bits));
  }

  @Test
  void nothingIsSplitIntoNothing() {
    MemorySegment[] a = arrays(0, 0, 0);
    SplitFloats.split(a[0], a[1], a[2]);
    SplitFloats.join(a[1], a[2], a[0]);
    assertThat(a).hasSize(3);
  }

  @Test
  void nullIsNamed() {
    MemorySegment[] a = arrays(8, 4, 4);
    nullPointer("values is null", () -> SplitFloats.split(null, a[1], a[2]));
    nullPointer("high is null", () -> SplitFloats.split(a[0], null, a[2]));
    nullPointer("low is null", () -> SplitFloats.split(a[0], a[1], null));
    nullPointer("high is null", () -> SplitFloats.join(null, a[2], a[0]));
    nullPointer("low is null", () -> SplitFloats.join(a[1], null, a[0]));
    nullPointer("values is null", () -> SplitFloats.join(a[1], a[2], null));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "8|6|4|high has 6 bytes; 2 halves take 4",
        "8|2|4|high has 2 bytes; 2 halves take 4",
        "8|4|8|low has 8 bytes; 2 halves take 4",
        "8|4|0|low has 0 bytes; 2 halves take 4",
        "10|4|4|values has 10 bytes, not a multiple of 4",
        "8|3|4|high has 3 bytes, not a multiple of 2",
        "8|4|5|low has 5 bytes, not a multiple of 2",
      })
  void otherSizesAreRefused(long values, long high, long low, String message) {
    refused(message, arrays(values, high, low));
  }

  @Test
  void arraysThatCannotBeUsedAreRefused() {
    MemorySegment[] good = arrays(8, 4, 4);
    String[] names = {"values", "high", "low"};
    Arena gone = Arena.ofShared();
    for (int i = 0; i < 3; i++) {
      int unit = i == 0 ? 4 : 2;
      MemorySegment[] a = good.clone();
      a[i] = MemorySegment.ofArray(new byte[4 * unit / 2]);
      refused(names[i] + " " + ON_HEAP, a);
      a[i] = arena.allocate(16, 8).asSlice(unit / 2, 2L * unit);
      refused(names[i] + " starts at an address that is not a multiple of " + unit, a);
    }
    MemorySegment[] closed = good.clone();
    closed[2] = gone.allocate(4, 2);
    gone.close();
    refused("low lies in an arena that is closed", closed);
  }

  /** Asserts that both directions refuse the arrays and write none. */
  private static void refused(String message, MemorySegment... a) {
    for (MemorySegment array : a) {
      if (array.scope().isAlive()) {
        array.fill((byte) 3);
      }
    }
    illegalArgument(message, () -> SplitFloats.split(a[0], a[1], a[2]));
    illegalArgument(message, () -> SplitFloats.join(a[1], a[2], a[0]));
    for (MemorySegment array : a) {
      if (array.scope().isAlive()) {
        assertThat(array.mismatch(Arena.ofAuto().allocate(array.byteSize(), 8).fill((byte) 3)))
            .isEqualTo(-1);
      }
    }
  }

  @Test
  void onlyArraysThatAreReadMayBeReadOnly() {
    MemorySegment[] a = arrays(8, 4, 4);
    a[0].setAtIndex(JAVA_INT, 1, 0x3f80ffff);
    SplitFloats.split(a[0].asReadOnly(), a[1], a[2]);
    MemorySegment joined = arena.allocate(8, 4);
    SplitFloats.join(a[1].asReadOnly(), a[2].asReadOnly(), joined);
    assertThat(joined.mismatch(a[0])).isEqualTo(-1);

    MemorySegment other = arena.allocate(8, 4);
    String isReadOnly = " is read-only, but is written";
    illegalArgument("high" + isReadOnly, () -> SplitFloats.split(other, a[1].asReadOnly(), a[2]));
    illegalArgument("low" + isReadOnly, () -> SplitFloats.split(other, a[1], a[2].asReadOnly()));
    illegalArgument("values" + isReadOnly, () -> SplitFloats.join(a[1], a[2], joined.asReadOnly()));
    SplitFloats.join(a[1], a[2], joined);
    assertThat(joined.mismatch(a[0])).isEqualTo(-1);
  }

  private MemorySegment[] arrays(long values, long high, long low) {
    return new MemorySegment[] {
      arena.allocate(values, 4), arena.allocate(high, 2), arena.allocate(low, 2)
    };
  }
}
