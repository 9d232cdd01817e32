package io.spd4j.onednn;

/**
 * How the matrix products of {@link Linear} and {@link MatMul} over float32 arrays are computed.
 * Everything else stays float32: biases, addends, softmax, layer norm, GELU and reductions.
 * Products that were made for operands in bfloat16 do not depend on it.
 */
public enum MathMode {
  /** In float32. */
  FLOAT32,

  /**
   * In bfloat16, accumulated in float32: before each product its two matrices are rounded to
   * bfloat16 (8 significant bits; to nearest, ties to even) in memory of the {@link OneDnn}. What
   * several products read is rounded for each of them: to do it once, give them {@linkplain
   * OneDnn#linear(long, long, long, io.spd4j.ElementType) operands in bfloat16}. A product of which
   * one matrix is a vector or has 2³¹ elements or more stays in float32, as does one for which
   * oneDNN has nothing but a plain loop. On a processor without bfloat16 instructions this may be
   * slower than FLOAT32.
   */
  BF16,

  /** BF16 if the processor has instructions for products of bfloat16, otherwise FLOAT32. */
  AUTO
}
