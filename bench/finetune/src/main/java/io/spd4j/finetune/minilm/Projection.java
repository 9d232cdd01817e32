package io.spd4j.finetune.minilm;

import io.spd4j.onednn.Linear;
import io.spd4j.onednn.OneDnn;
import io.spd4j.onednn.Reduction;
import java.lang.foreign.MemorySegment;

/** A linear layer with its weights. A backward pass uses the weights as its forward pass did. */
final class Projection {
  private final OneDnn dnn;
  private final Buffers buffers;
  private final Weight weight;
  private final Operand matrix;

  /** Null if there is none. */
  private final Weight bias;

  Projection(Buffers buffers, Weight weight, Weight bias) {
    this.dnn = buffers.dnn();
    this.buffers = buffers;
    this.weight = weight;
    this.matrix = buffers.operand(weight.data(), weight.numel());
    this.bias = bias;
  }

  Projection(Buffers buffers, Weights weights, String name) {
    this(buffers, weights.get(name + ".weight"), weights.get(name + ".bias"));
  }

  private Linear linear(long rows) {
    return dnn.linear(rows, in(), out(), buffers.operands());
  }

  private long in() {
    return weight.shape().getLast();
  }

  private long out() {
    return weight.shape().getFirst();
  }

  private MemorySegment biasData() {
    return bias == null ? null : bias.data();
  }

  void forward(long rows, Operand src, MemorySegment dst) {
    matrix.written(weight.numel());
    linear(rows).forward(src.read(), matrix.read(), biasData(), dst);
  }

  /** Adds the result to dst, for an adapter. */
  void forwardAdd(long rows, Operand src, MemorySegment dst) {
    matrix.written(weight.numel());
    linear(rows).forwardAdd(src.read(), matrix.read(), biasData(), dst);
  }

  /** Adds a residual connection. */
  void forwardAdd(long rows, Operand src, MemorySegment addend, MemorySegment dst) {
    matrix.written(weight.numel());
    linear(rows).forwardAdd(src.read(), matrix.read(), biasData(), addend, dst);
  }

  /** Computes the gradients of the weights, if they have any. */
  void backwardWeights(long rows, Operand src, Operand dstGrad) {
    if (weight.gradient() == null) {
      return;
    }
    linear(rows).backwardWeights(src.read(), dstGrad.read(), weight.gradient(), null);
    if (bias != null) {
      dnn.reduction(Reduction.Kind.SUM, rows, out(), 0).forward(dstGrad.floats(), bias.gradient());
    }
  }

  void backwardSource(long rows, Operand dstGrad, MemorySegment srcGrad) {
    linear(rows).backwardSource(dstGrad.read(), matrix.read(), srcGrad);
  }

  /** Adds to srcGrad. */
  void backwardSourceAdd(long rows, Operand dstGrad, MemorySegment srcGrad) {
    linear(rows).backwardSourceAdd(dstGrad.read(), matrix.read(), srcGrad);
  }
}
