package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * A parameter tensor as a {@link Stepper} is given it. Its arrays are float32, native memory, all
 * of the same size.
 *
 * @param group the index of its group's {@link Settings}
 * @param step the steps that it has taken before
 * @param grad null: there is none at the moment
 * @param anchor null: the origin
 * @param maxExpAvgSq null: not AMSGrad
 */
public record SteppedTensor(
    int group,
    long step,
    MemorySegment param,
    MemorySegment grad,
    MemorySegment anchor,
    MemorySegment expAvg,
    MemorySegment expAvgSq,
    MemorySegment maxExpAvgSq) {
  /** The same tensor with another gradient. */
  SteppedTensor withGrad(MemorySegment grad) {
    return new SteppedTensor(group, step, param, grad, anchor, expAvg, expAvgSq, maxExpAvgSq);
  }

  /** The arrays there are. */
  public List<MemorySegment> arrays() {
    return Stream.of(param, grad, anchor, expAvg, expAvgSq, maxExpAvgSq)
        .filter(Objects::nonNull)
        .toList();
  }

  /** The number of elements. */
  public long numel() {
    return param.byteSize() / Float.BYTES;
  }
}
