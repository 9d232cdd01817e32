package io.spd4j.onednn;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import io.spd4j.ElementType;
import io.spd4j.onednn.Case.Argument;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A case's arguments in memory: each lies in the middle of a larger array of random bytes, what is
 * to be written is full of NaN, and what is only read is read-only.
 */
public final class Buffers {
  private static final int MARGIN = 64;

  private final Case test;
  private final long shift;
  private final List<MemorySegment> wholes = new ArrayList<>();
  private final List<byte[]> before = new ArrayList<>();
  private final MemorySegment[] segments;

  /**
   * @param shift how many elements after the start of a cache line the arrays begin
   */
  Buffers(Arena arena, Case test, int shift) {
    this.test = test;
    this.shift = shift;
    SplittableRandom random = new SplittableRandom(shift);
    segments = new MemorySegment[test.arguments().size()];
    for (int i = 0; i < segments.length; i++) {
      Argument argument = test.arguments().get(i);
      byte[] noise = new byte[(int) argument.bytes() + 2 * MARGIN];
      random.nextBytes(noise);
      MemorySegment whole = arena.allocate(noise.length, MARGIN);
      MemorySegment.copy(noise, 0, whole, JAVA_BYTE, 0, noise.length);
      MemorySegment segment = whole.asSlice(begin(argument));
      if (argument.in() == null) {
        segment.asSlice(0, argument.bytes()).fill((byte) -1);
      } else {
        for (int j = 0; j < argument.numel(); j++) {
          set(segment, argument.type(), j, argument.in()[j]);
        }
      }
      wholes.add(whole);
      before.add(whole.toArray(JAVA_BYTE));
      segments[i] = argument.written() ? segment : segment.asReadOnly();
    }
  }

  private long begin(Argument argument) {
    return shift * argument.type().byteSize();
  }

  /** Returns the arguments, longer than they need to be. */
  MemorySegment[] segments() {
    return segments.clone();
  }

  static double get(MemorySegment segment, ElementType type, long i) {
    return switch (type) {
      case FLOAT32 -> segment.getAtIndex(JAVA_FLOAT, i);
      case BFLOAT16 -> Float.intBitsToFloat(segment.getAtIndex(JAVA_SHORT, i) << 16);
      case FLOAT16 -> Float.float16ToFloat(segment.getAtIndex(JAVA_SHORT, i));
      default -> throw new AssertionError(type);
    };
  }

  /** Sets an element, rounded to its type. */
  public static void set(MemorySegment segment, ElementType type, long i, double value) {
    float f = (float) value;
    switch (type) {
      case FLOAT32 -> segment.setAtIndex(JAVA_FLOAT, i, f);
      case BFLOAT16 ->
          segment.setAtIndex(JAVA_SHORT, i, (short) (Float.floatToRawIntBits(f) >> 16));
      case FLOAT16 -> segment.setAtIndex(JAVA_SHORT, i, Float.floatToFloat16(f));
    }
  }

  /** Returns the bits of the arguments that are written. */
  List<ByteBuffer> results() {
    List<ByteBuffer> results = new ArrayList<>();
    for (int i = 0; i < segments.length; i++) {
      Argument argument = test.arguments().get(i);
      if (argument.written()) {
        results.add(ByteBuffer.wrap(segments[i].asSlice(0, argument.bytes()).toArray(JAVA_BYTE)));
      }
    }
    return results;
  }

  /** Asserts that nothing at all was written. */
  void assertUntouched(String as) {
    for (int i = 0; i < segments.length; i++) {
      assertThat(wholes.get(i).toArray(JAVA_BYTE))
          .as("%s, %s after %s", test, test.arguments().get(i).name(), as)
          .isEqualTo(before.get(i));
    }
  }

  /** Asserts that the expected values were written, and nothing else. */
  void assertResult() {
    for (int i = 0; i < segments.length; i++) {
      Argument argument = test.arguments().get(i);
      byte[] after = wholes.get(i).toArray(JAVA_BYTE);
      if (argument.written()) {
        assertValues(test, argument, segments[i]);
        int begin = (int) begin(argument);
        int end = begin + (int) argument.bytes();
        System.arraycopy(before.get(i), begin, after, begin, end - begin);
      }
      if (!Arrays.equals(after, before.get(i))) {
        fail("%s has changed %s outside of its shape", test, argument.name());
      }
    }
  }

  /** Asserts that an argument has the expected values. */
  public static void assertValues(Case test, Argument argument, MemorySegment segment) {
    for (int i = 0; i < argument.numel(); i++) {
      double value = get(segment, argument.type(), i);
      double expected = argument.expected()[i];
      // The negation also finds NaN.
      if (Double.compare(value, expected) != 0
          && !(Math.abs(value - expected) <= argument.tolerance()[i])) {
        fail(
            "%s: %s[%d] is %s, not %s: off by %s, not by up to %s",
            test, argument.name(), i, value, expected, value - expected, argument.tolerance()[i]);
      }
    }
  }
}
