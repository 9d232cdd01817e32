package io.spd4j.finetune.minilm;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * A tensor of the network, float32 and off-heap.
 *
 * @param name HuggingFace's name
 * @param shape linear weights are [out, in]
 * @param data the values
 * @param gradient where the backward pass writes; null if the tensor is not trained
 */
public record Weight(String name, List<Long> shape, MemorySegment data, MemorySegment gradient) {
  /** The size of a cache line and of the widest vector. */
  static final long ALIGNMENT = 64;

  /** Returns a tensor of zeros. */
  public static Weight zeros(Arena arena, String name, List<Long> shape, boolean trainable) {
    long bytes = shape.stream().reduce(1L, Math::multiplyExact) * Float.BYTES;
    return new Weight(
        name,
        shape,
        arena.allocate(bytes, ALIGNMENT),
        trainable ? arena.allocate(bytes, ALIGNMENT) : null);
  }

  /** Returns a copy of the values, with its own gradient if it is trainable. */
  public Weight copy(Arena arena, boolean trainable) {
    Weight copy = zeros(arena, name, shape, trainable);
    copy.data.copyFrom(data);
    return copy;
  }

  /** Returns the number of elements. */
  public long numel() {
    return data.byteSize() / Float.BYTES;
  }
}
