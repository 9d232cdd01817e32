package io.spd4j.finetune.minilm;

import io.spd4j.ElementType;
import io.spd4j.onednn.OneDnn;
import java.lang.foreign.MemorySegment;

/**
 * A matrix that products read. It is written in float32. If products read bfloat16, it is rounded
 * once, however many of them read it.
 */
final class Operand {
  private final OneDnn dnn;
  private final MemorySegment floats;
  private final MemorySegment read;

  /**
   * @param floats where it is written
   * @param read what products read: bfloat16, or floats itself
   */
  Operand(OneDnn dnn, MemorySegment floats, MemorySegment read) {
    this.dnn = dnn;
    this.floats = floats;
    this.read = read;
  }

  /** Returns the float32 values. */
  MemorySegment floats() {
    return floats;
  }

  /** Returns what products read. */
  MemorySegment read() {
    return read;
  }

  /** Brings what products read up to date, after the float32 values have been written. */
  void written(long numel) {
    if (read != floats) {
      dnn.conversion(numel, ElementType.FLOAT32, ElementType.BFLOAT16).forward(floats, read);
    }
  }
}
