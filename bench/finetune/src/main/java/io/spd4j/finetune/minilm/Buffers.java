package io.spd4j.finetune.minilm;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The memory of activations, allocated once for the largest batch and reused in every step.
 *
 * @param rows the largest number of tokens of a batch, including padding
 * @param sequences the largest number of sequences of a batch
 * @param length the longest sequence
 */
record Buffers(Arena arena, long rows, long sequences, long length) {
  MemorySegment floats(long count) {
    return arena.allocate(Math.multiplyExact(count, Float.BYTES), Weight.ALIGNMENT);
  }

  /** Allocates a matrix with a row for each token. */
  MemorySegment tokens(long features) {
    return floats(rows * features);
  }

  /**
   * Allocates the attention scores of every token for every token of its sequence, for each head.
   */
  MemorySegment scores(long heads) {
    return floats(heads * rows * length);
  }
}
