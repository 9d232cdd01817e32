package io.spd4j.finetune.minilm;

import io.spd4j.onednn.LayerNorm;
import java.lang.foreign.MemorySegment;

/** A layer normalization with its weights and the values that its backward pass needs. */
final class Norm {
  private final Weight scale;
  private final Weight shift;
  private final MemorySegment mean;
  private final MemorySegment variance;
  private final MemorySegment scaleGradient;
  private final MemorySegment shiftGradient;

  Norm(Weights weights, String name, Buffers buffers) {
    scale = weights.get(name + ".weight");
    shift = weights.get(name + ".bias");
    mean = buffers.tokens(1);
    variance = buffers.tokens(1);
    scaleGradient = gradient(scale, buffers);
    shiftGradient = gradient(shift, buffers);
  }

  /** Returns where to write a gradient: oneDNN always writes it, even if it is not needed. */
  private static MemorySegment gradient(Weight weight, Buffers buffers) {
    return weight.gradient() != null ? weight.gradient() : buffers.floats(weight.numel());
  }

  void forward(LayerNorm op, MemorySegment src, MemorySegment dst) {
    op.forward(src, scale.data(), shift.data(), dst, mean, variance);
  }

  void backward(LayerNorm op, MemorySegment src, MemorySegment dstGrad, MemorySegment srcGrad) {
    op.backward(src, dstGrad, scale.data(), mean, variance, srcGrad, scaleGradient, shiftGradient);
  }
}
