package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * A parameter tensor as a {@link Stepper} gets it. Its arrays are off-heap.
 *
 * @param group the index of its group, whose {@link Settings} apply
 * @param step the number of steps that the tensor has taken before
 * @param decision what SPD did in the last of these steps that it checked; null if there was none
 * @param key the key of its random bits ({@link RandomWords})
 * @param offset of a shard: the index of its first element in the whole tensor, a multiple of
 *     {@link BlockTable#BLOCK}; else 0
 * @param types how the arrays are stored
 * @param low the low halves of float32 parameters; null unless param holds the high halves
 * @param grad null if the tensor has no gradient at present
 * @param anchor null for the origin
 * @param maxExpAvgSq null if the group is not AMSGrad
 */
public record SteppedTensor(
    int group,
    long step,
    SpdDecision decision,
    long key,
    long offset,
    Types types,
    MemorySegment param,
    MemorySegment low,
    MemorySegment grad,
    MemorySegment anchor,
    MemorySegment expAvg,
    MemorySegment expAvgSq,
    MemorySegment maxExpAvgSq) {
  public SteppedTensor {
    types = types.equals(Types.FLOAT32) ? Types.FLOAT32 : types; // steps compare references
  }

  /** Returns this tensor with another gradient. */
  SteppedTensor withGrad(MemorySegment grad) {
    return with(step, decision, grad);
  }

  /** Returns this tensor after more steps. */
  public SteppedTensor after(long step, SpdDecision decision) {
    return with(step, decision, grad);
  }

  private SteppedTensor with(long step, SpdDecision decision, MemorySegment grad) {
    return new SteppedTensor(
        group,
        step,
        decision,
        key,
        offset,
        types,
        param,
        low,
        grad,
        anchor,
        expAvg,
        expAvgSq,
        maxExpAvgSq);
  }

  /** Returns the arrays that are not null. */
  public List<MemorySegment> arrays() {
    return Stream.of(param, low, grad, anchor, expAvg, expAvgSq, maxExpAvgSq)
        .filter(Objects::nonNull)
        .toList();
  }

  /** Returns the number of elements. */
  public long numel() {
    return param.byteSize() / types.param().byteSize();
  }

  /** Returns whether every array that the tensor has is float32. */
  public boolean isFloat32() {
    return types == Types.FLOAT32;
  }
}
