package io.spd4j.finetune.minilm;

import io.spd4j.onednn.OneDnn;
import java.lang.foreign.MemorySegment;

/** A linear layer and, if the weights have one, its adapter. */
final class Adapted {
  private final Projection base;

  /** Null if there is none. */
  private final Lora lora;

  Adapted(OneDnn dnn, Weights weights, String name, Buffers buffers) {
    base = new Projection(dnn, weights, name);
    lora = Lora.isIn(weights, name) ? new Lora(dnn, weights, name, buffers) : null;
  }

  void forward(long rows, MemorySegment src, MemorySegment dst) {
    base.forward(rows, src, dst);
    if (lora != null) {
      lora.forwardAdd(rows, src, dst);
    }
  }

  void forwardAdd(long rows, MemorySegment src, MemorySegment addend, MemorySegment dst) {
    base.forwardAdd(rows, src, addend, dst);
    if (lora != null) {
      lora.forwardAdd(rows, src, dst);
    }
  }

  void backward(long rows, MemorySegment src, MemorySegment dstGrad, MemorySegment srcGrad) {
    base.backwardSource(rows, dstGrad, srcGrad);
    backwardRest(rows, src, dstGrad, srcGrad);
  }

  void backwardAdd(long rows, MemorySegment src, MemorySegment dstGrad, MemorySegment srcGrad) {
    base.backwardSourceAdd(rows, dstGrad, srcGrad);
    backwardRest(rows, src, dstGrad, srcGrad);
  }

  private void backwardRest(
      long rows, MemorySegment src, MemorySegment dstGrad, MemorySegment srcGrad) {
    base.backwardWeights(rows, src, dstGrad);
    if (lora != null) {
      lora.backwardAdd(rows, src, dstGrad, srcGrad);
    }
  }
}
