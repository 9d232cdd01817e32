package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;

/** Makes whole tensors whose arrays are all float32. */
public final class SteppedTensors {
  private SteppedTensors() {}

  /** Returns a tensor. */
  public static SteppedTensor float32(
      int group,
      long step,
      MemorySegment param,
      MemorySegment grad,
      MemorySegment anchor,
      MemorySegment expAvg,
      MemorySegment expAvgSq,
      MemorySegment maxExpAvgSq) {
    return new SteppedTensor(
        group,
        step,
        null,
        0,
        0,
        Types.FLOAT32,
        param,
        null,
        grad,
        anchor,
        expAvg,
        expAvgSq,
        maxExpAvgSq);
  }
}
