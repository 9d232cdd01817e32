package io.spd4j.finetune.minilm;

import io.spd4j.ElementType;
import io.spd4j.onednn.OneDnn;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The memory of activations, allocated once for the largest batch and reused in every step.
 *
 * @param operands the type of what products read, float32 or bfloat16
 * @param rows the largest number of tokens of a batch, including padding
 * @param sequences the largest number of sequences of a batch
 * @param length the longest sequence
 */
record Buffers(
    OneDnn dnn, Arena arena, ElementType operands, long rows, long sequences, long length) {
  MemorySegment floats(long count) {
    return arena.allocate(Math.multiplyExact(count, Float.BYTES), Weight.ALIGNMENT);
  }

  /** Allocates a matrix with a row for each token. */
  MemorySegment tokens(long features) {
    return floats(rows * features);
  }

  /** Allocates a matrix with a row for each token, which products read. */
  Operand operand(long features) {
    return operand(tokens(features), rows * features);
  }

  /**
   * As {@link #operand(long)}, but its float32 values need not outlive the next use of scratch.
   *
   * @param scratch memory for them if products read bfloat16; null otherwise
   */
  Operand operand(long features, MemorySegment scratch) {
    return scratch == null ? operand(features) : operand(scratch, rows * features);
  }

  /** Allocates what products read of float32 values. */
  Operand operand(MemorySegment floats, long count) {
    return new Operand(
        dnn,
        floats,
        operands == ElementType.FLOAT32
            ? floats
            : arena.allocate(Math.multiplyExact(count, operands.byteSize()), Weight.ALIGNMENT));
  }

  /**
   * Allocates the attention scores of every token for every token of its sequence, for each head.
   */
  Operand scores(long heads) {
    return operand(heads * length);
  }
}
