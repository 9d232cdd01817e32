package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * The arrays of one parameter tensor: float32, native memory, all of the same size.
 *
 * @param grad null: there is none at the moment
 * @param anchor null: the origin
 * @param maxExpAvgSq null: not AMSGrad
 */
public record TensorArrays(
    MemorySegment param,
    MemorySegment grad,
    MemorySegment anchor,
    MemorySegment expAvg,
    MemorySegment expAvgSq,
    MemorySegment maxExpAvgSq) {
  /** The arrays there are. */
  List<MemorySegment> all() {
    return Stream.of(param, grad, anchor, expAvg, expAvgSq, maxExpAvgSq)
        .filter(Objects::nonNull)
        .toList();
  }

  /** The number of elements. */
  public long numel() {
    return param.byteSize() / Float.BYTES;
  }
}
