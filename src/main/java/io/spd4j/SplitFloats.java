package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import java.lang.foreign.MemorySegment;

/**
 * Float32 values in two halves of 16 bits: the high half is the nearest bfloat16, which a network
 * can read, and both together are exactly the float32 bits, those of infinities and NaNs too. With
 * bits those of the float32: high = bits &gt;&gt; 16, low = (int16) bits, and 1 is added to high if
 * low is below 0. As TransformerEngine's {@code store_param_remainders}.
 *
 * <p>The arrays lie in host memory that the calling thread can access, else a {@link
 * WrongThreadException} is thrown. They must not overlap. Thread-safe as long as the arrays are.
 */
public final class SplitFloats {
  private SplitFloats() {}

  /**
   * Splits float32 values.
   *
   * @param values float32
   * @param high receives bfloat16, half as many bytes
   * @param low receives int16, half as many bytes
   * @throws IllegalArgumentException if the sizes do not fit, or an array cannot be used
   */
  public static void split(MemorySegment values, MemorySegment high, MemorySegment low) {
    long numel = check(values, high, low);
    writable("high", high);
    writable("low", low);
    for (long i = 0; i < numel; i++) {
      int bits = Float.floatToRawIntBits(values.getAtIndex(JAVA_FLOAT, i));
      high.setAtIndex(JAVA_SHORT, i, (short) (bits + 0x8000 >>> 16));
      low.setAtIndex(JAVA_SHORT, i, (short) bits);
    }
  }

  /**
   * Joins the halves.
   *
   * @param high bfloat16
   * @param low int16
   * @param values receives float32, twice as many bytes as each half
   * @throws IllegalArgumentException if the sizes do not fit, or an array cannot be used
   */
  public static void join(MemorySegment high, MemorySegment low, MemorySegment values) {
    long numel = check(values, high, low);
    writable("values", values);
    for (long i = 0; i < numel; i++) {
      int bits = (high.getAtIndex(JAVA_SHORT, i) << 16) + low.getAtIndex(JAVA_SHORT, i);
      values.setAtIndex(JAVA_FLOAT, i, Float.intBitsToFloat(bits));
    }
  }

  private static long check(MemorySegment values, MemorySegment high, MemorySegment low) {
    Checks.notNull("values", values);
    long numel = values.byteSize() / Float.BYTES;
    String content = numel + " halves";
    Checks.array("values", values, Float.BYTES, -1, "", false);
    Checks.array("high", high, Short.BYTES, numel * Short.BYTES, content, false);
    Checks.array("low", low, Short.BYTES, numel * Short.BYTES, content, false);
    return numel;
  }

  private static void writable(String name, MemorySegment array) {
    if (array.isReadOnly()) {
      throw new IllegalArgumentException(name + " is read-only, but is written");
    }
  }
}
