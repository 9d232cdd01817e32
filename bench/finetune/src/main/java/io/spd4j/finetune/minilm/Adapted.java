package io.spd4j.finetune.minilm;

import java.lang.foreign.MemorySegment;

/** A linear layer and, if the weights have one, its adapter. */
final class Adapted {
  private final Projection base;

  /** Null if there is none. */
  private final Lora lora;

  Adapted(Weights weights, String name, Buffers buffers) {
    base = new Projection(buffers, weights, name);
    lora = Lora.isIn(weights, name) ? new Lora(weights, name, buffers) : null;
  }

  void forward(long rows, Operand src, MemorySegment dst) {
    base.forward(rows, src, dst);
    if (lora != null) {
      lora.forwardAdd(rows, src, dst);
    }
  }

  void forwardAdd(long rows, Operand src, MemorySegment addend, MemorySegment dst) {
    base.forwardAdd(rows, src, addend, dst);
    if (lora != null) {
      lora.forwardAdd(rows, src, dst);
    }
  }

  void backward(long rows, Operand src, Operand dstGrad, MemorySegment srcGrad) {
    base.backwardSource(rows, dstGrad, srcGrad);
    backwardRest(rows, src, dstGrad, srcGrad);
  }

  void backwardAdd(long rows, Operand src, Operand dstGrad, MemorySegment srcGrad) {
    base.backwardSourceAdd(rows, dstGrad, srcGrad);
    backwardRest(rows, src, dstGrad, srcGrad);
  }

  private void backwardRest(long rows, Operand src, Operand dstGrad, MemorySegment srcGrad) {
    base.backwardWeights(rows, src, dstGrad);
    if (lora != null) {
      lora.backwardAdd(rows, src, dstGrad, srcGrad);
    }
  }
}
