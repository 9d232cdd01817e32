package io.spd4j.finetune.minilm;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;
import java.util.SplittableRandom;

/**
 * A low-rank adapter beside a linear layer (LoRA, Hu et al. 2021, with α = r): dst += (src·Aᵀ)·Bᵀ
 * with A [r, in] and B [out, r]. Tensor names are those of HuggingFace's PEFT.
 */
public final class Lora {
  private static final String A = ".lora_A.weight";
  private static final String B = ".lora_B.weight";

  private final Projection down;
  private final Projection up;
  private final long rank;
  private final Operand inner;
  private final Operand innerGradient;

  /** Uses the tensors of a layer's adapter, which must exist. */
  Lora(Weights weights, String name, Buffers buffers) {
    Weight a = weights.get(name + A);
    rank = a.shape().getFirst();
    down = new Projection(buffers, a, null);
    up = new Projection(buffers, weights.get(name + B), null);
    inner = buffers.operand(rank);
    innerGradient = buffers.operand(rank);
  }

  /**
   * Returns new adapters for the attention's projections. B is 0, so that they change nothing at
   * first.
   */
  public static List<Weight> create(Arena arena, Config config, int rank, SplittableRandom random) {
    List<Weight> weights = new ArrayList<>();
    double bound = Math.sqrt(1.0 / config.hidden()); // Kaiming with a = √5, as in PEFT
    shapes(config, rank)
        .forEach((name, shape) -> {
          Weight weight = Weight.zeros(arena, name, shape, true);
          for (long i = 0; name.endsWith(A) && i < weight.numel(); i++) {
            float value = (float) random.nextDouble(-bound, bound);
            weight.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
          }
          weights.add(weight);
        });
    return weights;
  }

  /** Returns the names and shapes of the adapters' tensors. */
  public static SequencedMap<String, List<Long>> shapes(Config config, long rank) {
    SequencedMap<String, List<Long>> shapes = new LinkedHashMap<>();
    long hidden = config.hidden();
    for (int layer = 0; layer < config.layers(); layer++) {
      for (String projection : EncoderLayer.ATTENTION_PROJECTIONS) {
        String name = Weights.layer(layer) + projection;
        shapes.put(name + A, List.of(rank, hidden));
        shapes.put(name + B, List.of(hidden, rank));
      }
    }
    return shapes;
  }

  /**
   * Returns the weights with their adapters' products B·A added to the layers' weights, which are
   * copies; weights without adapters are returned as they are.
   *
   * @param arena the arena of the copies
   */
  static Weights merge(Arena arena, Weights weights) {
    List<Weight> merged = new ArrayList<>();
    for (Weight weight : weights.all()) {
      if (!isNameOf(weight.name())) {
        String layer = weight.name().replaceFirst("\\.weight$", "");
        merged.add(
            isIn(weights, layer)
                ? merge(arena, weight, weights.get(layer + A), weights.get(layer + B))
                : weight);
      }
    }
    return new Weights(merged);
  }

  private static Weight merge(Arena arena, Weight weight, Weight a, Weight b) {
    Weight merged = weight.copy(arena, false);
    int rank = a.shape().getFirst().intValue();
    long in = a.shape().getLast();
    for (long i = 0; i < weight.numel(); i++) {
      double sum = at(weight, i);
      for (int r = 0; r < rank; r++) {
        sum += (double) at(b, i / in * rank + r) * at(a, r * in + i % in);
      }
      merged.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) sum);
    }
    return merged;
  }

  /** Returns ‖B·A‖², the squared distance by which an adapter moves its layer's weights. */
  public static double squaredNorm(Weight a, Weight b) {
    int rank = a.shape().getFirst().intValue();
    long in = a.shape().getLast();
    long out = b.shape().getFirst();
    double sum = 0; // of (A·Aᵀ)∘(Bᵀ·B)
    for (int i = 0; i < rank; i++) {
      for (int j = 0; j < rank; j++) {
        double rows = 0;
        for (long k = 0; k < in; k++) {
          rows += (double) at(a, i * in + k) * at(a, j * in + k);
        }
        double columns = 0;
        for (long k = 0; k < out; k++) {
          columns += (double) at(b, k * rank + i) * at(b, k * rank + j);
        }
        sum += rows * columns;
      }
    }
    return Math.max(0, sum);
  }

  private static float at(Weight weight, long i) {
    return weight.data().getAtIndex(ValueLayout.JAVA_FLOAT, i);
  }

  /** Returns whether a tensor is part of an adapter. */
  public static boolean isNameOf(String tensor) {
    return tensor.endsWith(A) || tensor.endsWith(B);
  }

  /** Returns whether the weights have an adapter for a layer. */
  static boolean isIn(Weights weights, String name) {
    return weights.has(name + A);
  }

  void forwardAdd(long rows, Operand src, MemorySegment dst) {
    down.forward(rows, src, inner.floats());
    inner.written(rows * rank);
    up.forwardAdd(rows, inner, dst);
  }

  /** Computes the gradients of A and B, and adds the adapter's part to srcGrad. */
  void backwardAdd(long rows, Operand src, Operand dstGrad, MemorySegment srcGrad) {
    up.backwardWeights(rows, inner, dstGrad);
    up.backwardSource(rows, dstGrad, innerGradient.floats());
    innerGradient.written(rows * rank);
    down.backwardWeights(rows, src, innerGradient);
    down.backwardSourceAdd(rows, innerGradient, srcGrad);
  }
}
