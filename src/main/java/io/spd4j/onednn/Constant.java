package io.spd4j.onednn;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A float32 array with the same value everywhere, allocated when a primitive first needs it. */
final class Constant {
  private final Engine engine;
  private final long numel;
  private final float value;
  private MemorySegment segment;

  Constant(Engine engine, long numel, float value) {
    this.engine = engine;
    this.numel = numel;
    this.value = value;
  }

  MemorySegment segment() {
    if (segment == null) {
      MemorySegment array = engine.arena().allocate(ValueLayout.JAVA_FLOAT, numel);
      array.set(ValueLayout.JAVA_FLOAT, 0, value);
      for (long full = Float.BYTES; full < array.byteSize(); full *= 2) {
        long more = Math.min(full, array.byteSize() - full);
        MemorySegment.copy(array, 0, array, full, more);
      }
      segment = array;
    }
    return segment;
  }
}
