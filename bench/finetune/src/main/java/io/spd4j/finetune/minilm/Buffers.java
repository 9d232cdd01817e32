package io.spd4j.finetune.minilm;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The memory of activations: made once for the largest batch and used again in every step.
 *
 * @param rows the most tokens of a batch, padding included
 * @param sequences the most sequences of a batch
 * @param length the longest sequence
 */
record Buffers(Arena arena, long rows, long sequences, long length) {
  MemorySegment floats(long count) {
    return arena.allocate(Math.multiplyExact(count, Float.BYTES), Weight.ALIGNMENT);
  }

  /** A matrix with a row for each token. */
  MemorySegment tokens(long features) {
    return floats(rows * features);
  }

  /** Scores of every token of a sequence for every other one, for each head. */
  MemorySegment scores(long heads) {
    return floats(heads * rows * length);
  }
}
