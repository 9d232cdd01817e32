package io.spd4j.onednn;

import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_BIAS;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DIFF_BIAS;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DST;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_SRC;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_WEIGHTS;

import io.spd4j.ElementType;
import io.spd4j.onednn.Recipe.Argument;
import java.lang.foreign.MemorySegment;

/**
 * A linear layer: dst = src·weightᵀ + bias, with src [rows, in], weight [out, in] as in PyTorch,
 * bias [out] and dst [rows, out], all row-major. The operands, which are what is multiplied (src,
 * weight and dstGrad), are float32, or bfloat16 if the layer was made so; everything else is
 * float32. Segments may be larger than needed, so float32 values that are given as bfloat16
 * operands are not noticed: their halves are read as numbers. Made by {@link OneDnn#linear};
 * confined to its OneDnn's thread.
 */
public final class Linear {
  /** What is done to the product. */
  private enum Then {
    NOTHING,
    GELU,
    SUM,
    ADDEND
  }

  private final Engine engine;
  private final String shape;
  private final ElementType operands;
  private final Layout src;
  private final Layout weight;
  private final Layout bias;
  private final Layout dst;
  private final Call[] forward = new Call[Then.values().length * 2];
  private final Call[] backwardSource = new Call[2];
  private final Call[] backwardWeights = new Call[2];

  /** Sums dstGrad's rows. */
  private final Reduction biasSum;

  Linear(Engine engine, long rows, long in, long out, ElementType operands) {
    this.engine = engine;
    this.operands = Check.operands(operands);
    shape = " " + rows + "x" + in + " to " + rows + "x" + out + Check.suffix(operands);
    src = Check.matrix("rows", rows, "in", in);
    weight = Check.matrix("out", out, "in", in);
    bias = Layout.rowMajor(1, out);
    dst = Check.matrix("rows", rows, "out", out);
    for (Then then : Then.values()) {
      forward[then.ordinal() * 2] = forward(then, false);
      forward[then.ordinal() * 2 + 1] = forward(then, true);
    }
    for (int variant = 0; variant < 2; variant++) {
      backwardSource[variant] = backwardSource(variant == 1);
      backwardWeights[variant] = backwardWeights(variant == 1);
    }
    biasSum = new Reduction(engine, Reduction.Kind.SUM, rows, out, 0);
  }

  /**
   * Computes dst = src·weightᵀ + bias.
   *
   * @param bias null for none
   */
  public void forward(
      MemorySegment src, MemorySegment weight, MemorySegment bias, MemorySegment dst) {
    bindForward(Then.NOTHING, src, weight, bias, dst).run();
  }

  /**
   * Computes dst = GELU(src·weightᵀ + bias) in one pass. This is for inference: a backward pass
   * needs the GELU's input, which is not kept.
   *
   * @param bias null for none
   */
  public void forwardGelu(
      MemorySegment src, MemorySegment weight, MemorySegment bias, MemorySegment dst) {
    bindForward(Then.GELU, src, weight, bias, dst).run();
  }

  /**
   * Computes dst += src·weightᵀ + bias, as for an adapter.
   *
   * @param bias null for none
   */
  public void forwardAdd(
      MemorySegment src, MemorySegment weight, MemorySegment bias, MemorySegment dst) {
    bindForward(Then.SUM, src, weight, bias, dst).run();
  }

  /**
   * Computes dst = src·weightᵀ + bias + addend, a residual connection that keeps the addend.
   *
   * @param bias null for none
   * @param addend [rows, out]
   */
  public void forwardAdd(
      MemorySegment src,
      MemorySegment weight,
      MemorySegment bias,
      MemorySegment addend,
      MemorySegment dst) {
    bindForward(Then.ADDEND, src, weight, bias, dst).bind(bias == null ? 3 : 4, addend).run();
  }

  private Call bindForward(
      Then then, MemorySegment src, MemorySegment weight, MemorySegment bias, MemorySegment dst) {
    Call call = forward[then.ordinal() * 2 + (bias == null ? 0 : 1)];
    call.bind(0, src).bind(1, weight).bind(2, dst);
    return bias == null ? call : call.bind(3, bias);
  }

  private Call forward(Then then, boolean biased) {
    Recipe recipe = new Recipe(engine, "linear forward" + shape);
    Argument s = recipe.reads("src", DNNL_ARG_SRC(), src, operands);
    Argument w = recipe.reads("weight", DNNL_ARG_WEIGHTS(), weight.transpose(), operands);
    Argument d = recipe.writes("dst", DNNL_ARG_DST(), dst);
    Argument b = biased ? recipe.reads("bias", DNNL_ARG_BIAS(), bias) : null;
    recipe.flops(flops());
    switch (then) {
      case NOTHING -> recipe.passesOver(Recipe.BRGEMM_AVX2);
      case GELU -> recipe.gelu();
      case SUM -> recipe.accumulates();
      case ADDEND -> {
        recipe.adds("addend", dst);
        recipe.passesOver(Recipe.BRGEMM_AVX512, Recipe.BRGEMM_AVX2);
      }
    }
    return recipe.product(s, w, b, d);
  }

  /** Computes srcGrad = dstGrad·weight. */
  public void backwardSource(MemorySegment dstGrad, MemorySegment weight, MemorySegment srcGrad) {
    backwardSource(false, dstGrad, weight, srcGrad);
  }

  /** Computes srcGrad += dstGrad·weight, for a src that several operations read. */
  public void backwardSourceAdd(
      MemorySegment dstGrad, MemorySegment weight, MemorySegment srcGrad) {
    backwardSource(true, dstGrad, weight, srcGrad);
  }

  private void backwardSource(
      boolean accumulate, MemorySegment dstGrad, MemorySegment weight, MemorySegment srcGrad) {
    backwardSource[accumulate ? 1 : 0].bind(0, dstGrad).bind(1, weight).bind(2, srcGrad).run();
  }

  private Call backwardSource(boolean accumulate) {
    Recipe recipe = new Recipe(engine, "linear backward (source)" + shape);
    Argument d = recipe.reads("dstGrad", DNNL_ARG_SRC(), dst, operands);
    Argument w = recipe.reads("weight", DNNL_ARG_WEIGHTS(), weight, operands);
    Argument s = recipe.writes("srcGrad", DNNL_ARG_DST(), src);
    recipe.flops(flops());
    recipe.passesOver(Recipe.BRGEMM_AVX512, Recipe.BRGEMM_AVX2);
    if (accumulate) {
      recipe.accumulates();
    }
    return recipe.product(d, w, null, s);
  }

  /**
   * Computes weightGrad = dstGradᵀ·src and biasGrad = the sum of dstGrad's rows, overwriting both.
   *
   * @param biasGrad null if there is no bias, and if the operands are bfloat16: sum the rows of a
   *     float32 dstGrad with a {@link Reduction} instead
   * @throws IllegalArgumentException if biasGrad is given, but the operands are bfloat16
   */
  public void backwardWeights(
      MemorySegment src, MemorySegment dstGrad, MemorySegment weightGrad, MemorySegment biasGrad) {
    if (biasGrad != null && operands != ElementType.FLOAT32) {
      throw new IllegalArgumentException(
          "biasGrad of linear backward (weights)"
              + shape
              + " must be null: sum the rows of a float32 dstGrad with a Reduction");
    }
    Call product = backwardWeights[biasGrad == null ? 0 : 1];
    product.bind(0, src).bind(1, dstGrad).bind(2, weightGrad);
    if (biasGrad == null) {
      product.run();
      return;
    }
    // Both are checked and compiled before either writes.
    product.bind(3, biasGrad).ready();
    Call sum = biasSum.bindForward(dstGrad, biasGrad).ready();
    product.run();
    sum.run();
  }

  private Call backwardWeights(boolean biased) {
    Recipe recipe = new Recipe(engine, "linear backward (weights)" + shape);
    Argument s = recipe.reads("src", DNNL_ARG_WEIGHTS(), src, operands);
    Argument d = recipe.reads("dstGrad", DNNL_ARG_SRC(), dst.transpose(), operands);
    Argument w = recipe.writes("weightGrad", DNNL_ARG_DST(), weight);
    if (biased) {
      // The product does not use it and oneDNN ignores it: it is checked before any write.
      recipe.writes("biasGrad", DNNL_ARG_DIFF_BIAS(), Layout.rowMajor(bias.numel()));
    }
    recipe.flops(flops());
    recipe.passesOver(Recipe.BRGEMM_AVX2);
    return recipe.product(d, s, null, w);
  }

  private long flops() {
    return 2 * src.numel() * dst.size(1);
  }
}
