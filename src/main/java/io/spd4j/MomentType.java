package io.spd4j;

/**
 * How Adam's moments are stored. Steps compute in float32; the moments are rounded after they were
 * used; where that is stochastic, with random bits from the optimizer's {@linkplain
 * Adam.Builder#seed seed}.
 */
public enum MomentType {
  // The ordinals are the values of spd4j_moment_type in spd4j.h.
  /** Four bytes each, exact. */
  FLOAT32,
  /** Two bytes each, rounded stochastically. */
  BFLOAT16,
  /**
   * One byte each, and a float32 scale for every 64 elements. The first moment is rounded to
   * nearest, the second stochastically, with one draw for 64 elements. Groups with AMSGrad refuse
   * it. native/NUMERICS.md defines the codes.
   */
  BLOCKWISE_8BIT;

  /** Elements that share a scale. */
  private static final int SCALE_GROUP = 64;

  /**
   * Returns the size in bytes of an array of one moment. Arrays of zeros are moments of 0. 8-bit
   * moments are the codes, padding to a multiple of 4 bytes, and then the scales, one for each 64
   * elements and one for a rest.
   *
   * @param numel the number of elements, 0 or more
   * @throws IllegalArgumentException if numel is negative
   * @throws ArithmeticException if the size is beyond a long
   */
  public long byteSize(long numel) {
    if (numel < 0) {
      throw new IllegalArgumentException("numel must be 0 or more, not " + numel);
    }
    return switch (this) {
      case FLOAT32 -> Math.multiplyExact(numel, Float.BYTES);
      case BFLOAT16 -> Math.multiplyExact(numel, Short.BYTES);
      case BLOCKWISE_8BIT ->
          Math.multiplyExact(
              Math.ceilDiv(numel, Float.BYTES) + Math.ceilDiv(numel, SCALE_GROUP), Float.BYTES);
    };
  }

  /**
   * Returns the size in bytes of an array of one moment. Beyond a long it is {@link
   * Long#MAX_VALUE}, which no array can have.
   */
  long byteSizeOrMost(long numel) {
    try {
      return byteSize(numel);
    } catch (ArithmeticException e) {
      return Long.MAX_VALUE;
    }
  }

  /** Returns what the address of an array must be a multiple of: 4 or 2. */
  int alignment() {
    return this == BFLOAT16 ? Short.BYTES : Float.BYTES;
  }
}
