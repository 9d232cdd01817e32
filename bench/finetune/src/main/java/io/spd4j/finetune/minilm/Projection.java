package io.spd4j.finetune.minilm;

import io.spd4j.onednn.Linear;
import io.spd4j.onednn.OneDnn;
import java.lang.foreign.MemorySegment;

/** A linear layer with its weights. */
final class Projection {
  private final OneDnn dnn;
  private final Weight weight;

  /** Null if there is none. */
  private final Weight bias;

  Projection(OneDnn dnn, Weight weight, Weight bias) {
    this.dnn = dnn;
    this.weight = weight;
    this.bias = bias;
  }

  Projection(OneDnn dnn, Weights weights, String name) {
    this(dnn, weights.get(name + ".weight"), weights.get(name + ".bias"));
  }

  private Linear linear(long rows) {
    return dnn.linear(rows, weight.shape().getLast(), weight.shape().getFirst());
  }

  private MemorySegment biasData() {
    return bias == null ? null : bias.data();
  }

  void forward(long rows, MemorySegment src, MemorySegment dst) {
    linear(rows).forward(src, weight.data(), biasData(), dst);
  }

  /** Adds the result to dst, for an adapter. */
  void forwardAdd(long rows, MemorySegment src, MemorySegment dst) {
    linear(rows).forwardAdd(src, weight.data(), biasData(), dst);
  }

  /** Adds a residual connection. */
  void forwardAdd(long rows, MemorySegment src, MemorySegment addend, MemorySegment dst) {
    linear(rows).forwardAdd(src, weight.data(), biasData(), addend, dst);
  }

  /** Computes the gradients of the weights, if they have any. */
  void backwardWeights(long rows, MemorySegment src, MemorySegment dstGrad) {
    if (weight.gradient() != null) {
      linear(rows)
          .backwardWeights(src, dstGrad, weight.gradient(), bias == null ? null : bias.gradient());
    }
  }

  void backwardSource(long rows, MemorySegment dstGrad, MemorySegment srcGrad) {
    linear(rows).backwardSource(dstGrad, weight.data(), srcGrad);
  }

  /** Adds to srcGrad. */
  void backwardSourceAdd(long rows, MemorySegment dstGrad, MemorySegment srcGrad) {
    linear(rows).backwardSourceAdd(dstGrad, weight.data(), srcGrad);
  }
}
