package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * A parameter tensor as a {@link Stepper} gets it. Its arrays are float32, off-heap, and all of the
 * same size.
 *
 * @param group the index of its group, whose {@link Settings} apply
 * @param step the number of steps that the tensor has taken before
 * @param grad null if the tensor has no gradient at present
 * @param anchor null for the origin
 * @param maxExpAvgSq null if the group is not AMSGrad
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
  /** Returns this tensor with another gradient. */
  SteppedTensor withGrad(MemorySegment grad) {
    return new SteppedTensor(group, step, param, grad, anchor, expAvg, expAvgSq, maxExpAvgSq);
  }

  /** Returns the arrays that are not null. */
  public List<MemorySegment> arrays() {
    return Stream.of(param, grad, anchor, expAvg, expAvgSq, maxExpAvgSq)
        .filter(Objects::nonNull)
        .toList();
  }

  /** Returns the number of elements. */
  public long numel() {
    return param.byteSize() / Float.BYTES;
  }
}
