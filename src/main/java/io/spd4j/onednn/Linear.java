package io.spd4j.onednn;

import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_BIAS;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DIFF_BIAS;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DST;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_SRC;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_WEIGHTS;

import java.lang.foreign.MemorySegment;

/**
 * A linear layer: dst = src·weightᵀ + bias, with src [rows, in], weight [out, in] as PyTorch keeps
 * it, bias [out] and dst [rows, out], all float32 and row-major. Made by {@link OneDnn#linear};
 * confined to its thread.
 */
public final class Linear {
  /** What follows the product. */
  private enum Then {
    NOTHING,
    GELU,
    SUM,
    ADDEND
  }

  private final Engine engine;
  private final String shape;
  private final Layout src;
  private final Layout weight;
  private final Layout bias;
  private final Layout dst;
  private final Primitive[] forward = new Primitive[Then.values().length * 2];
  private final Primitive[] backwardSource = new Primitive[2];
  private final Primitive[] backwardWeights = new Primitive[2];

  /** The sum of dstGrad's rows; null: not asked for yet. */
  private Reduction biasSum;

  Linear(Engine engine, long rows, long in, long out) {
    this.engine = engine;
    shape = " " + rows + "x" + in + " to " + rows + "x" + out;
    src = Layout.rowMajor(Check.size("rows", rows), Check.size("in", in));
    weight = Layout.rowMajor(Check.size("out", out), in);
    bias = Layout.rowMajor(1, out);
    dst = Layout.rowMajor(rows, out);
  }

  /**
   * dst = src·weightᵀ + bias.
   *
   * @param bias null: none
   */
  public void forward(
      MemorySegment src, MemorySegment weight, MemorySegment bias, MemorySegment dst) {
    bindForward(Then.NOTHING, src, weight, bias, dst).run();
  }

  /**
   * dst = GELU(src·weightᵀ + bias) in one pass; for inference, since a backward pass needs what
   * goes into the GELU.
   *
   * @param bias null: none
   */
  public void forwardGelu(
      MemorySegment src, MemorySegment weight, MemorySegment bias, MemorySegment dst) {
    bindForward(Then.GELU, src, weight, bias, dst).run();
  }

  /**
   * dst += src·weightᵀ + bias: an adapter.
   *
   * @param bias null: none
   */
  public void forwardAdd(
      MemorySegment src, MemorySegment weight, MemorySegment bias, MemorySegment dst) {
    bindForward(Then.SUM, src, weight, bias, dst).run();
  }

  /**
   * dst = src·weightᵀ + bias + addend: a residual connection that keeps what it adds.
   *
   * @param bias null: none
   * @param addend as dst
   */
  public void forwardAdd(
      MemorySegment src,
      MemorySegment weight,
      MemorySegment bias,
      MemorySegment addend,
      MemorySegment dst) {
    bindForward(Then.ADDEND, src, weight, bias, dst).bind(bias == null ? 3 : 4, addend).run();
  }

  private Primitive bindForward(
      Then then, MemorySegment src, MemorySegment weight, MemorySegment bias, MemorySegment dst) {
    int variant = then.ordinal() * 2 + (bias == null ? 0 : 1);
    if (forward[variant] == null) {
      forward[variant] = forward(then, bias != null);
    }
    Primitive primitive = forward[variant].bind(0, src).bind(1, weight).bind(2, dst);
    return bias == null ? primitive : primitive.bind(3, bias);
  }

  private Primitive forward(Then then, boolean biased) {
    try (Recipe recipe = new Recipe(engine, "linear forward" + shape)) {
      MemorySegment s = recipe.reads("src", DNNL_ARG_SRC(), src);
      MemorySegment w = recipe.reads("weight", DNNL_ARG_WEIGHTS(), weight.transpose());
      MemorySegment d = recipe.writes("dst", DNNL_ARG_DST(), dst);
      MemorySegment b = biased ? recipe.reads("bias", DNNL_ARG_BIAS(), bias) : MemorySegment.NULL;
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
      return recipe.buildProduct(s, w, b, d);
    }
  }

  /** srcGrad = dstGrad·weight. */
  public void backwardSource(MemorySegment dstGrad, MemorySegment weight, MemorySegment srcGrad) {
    backwardSource(false, dstGrad, weight, srcGrad);
  }

  /** srcGrad += dstGrad·weight: where src went several ways. */
  public void backwardSourceAdd(
      MemorySegment dstGrad, MemorySegment weight, MemorySegment srcGrad) {
    backwardSource(true, dstGrad, weight, srcGrad);
  }

  private void backwardSource(
      boolean accumulate, MemorySegment dstGrad, MemorySegment weight, MemorySegment srcGrad) {
    int variant = accumulate ? 1 : 0;
    if (backwardSource[variant] == null) {
      backwardSource[variant] = backwardSource(accumulate);
    }
    backwardSource[variant].bind(0, dstGrad).bind(1, weight).bind(2, srcGrad).run();
  }

  private Primitive backwardSource(boolean accumulate) {
    try (Recipe recipe = new Recipe(engine, "linear backward (source)" + shape)) {
      MemorySegment d = recipe.reads("dstGrad", DNNL_ARG_SRC(), dst);
      MemorySegment w = recipe.reads("weight", DNNL_ARG_WEIGHTS(), weight);
      MemorySegment s = recipe.writes("srcGrad", DNNL_ARG_DST(), src);
      recipe.flops(flops());
      recipe.passesOver(Recipe.BRGEMM_AVX512, Recipe.BRGEMM_AVX2);
      if (accumulate) {
        recipe.accumulates();
      }
      return recipe.buildProduct(d, w, MemorySegment.NULL, s);
    }
  }

  /**
   * weightGrad = dstGradᵀ·src and biasGrad = the sum of dstGrad's rows; both are overwritten.
   *
   * @param biasGrad null: there is no bias
   */
  public void backwardWeights(
      MemorySegment src, MemorySegment dstGrad, MemorySegment weightGrad, MemorySegment biasGrad) {
    int variant = biasGrad == null ? 0 : 1;
    if (backwardWeights[variant] == null) {
      backwardWeights[variant] = backwardWeights(biasGrad != null);
    }
    Primitive product = backwardWeights[variant].bind(0, src).bind(1, dstGrad).bind(2, weightGrad);
    if (biasGrad == null) {
      product.run();
      return;
    }
    product.bind(3, biasGrad).run();
    if (biasSum == null) {
      biasSum = new Reduction(engine, Reduction.Kind.SUM, dst.size(0), dst.size(1), 0);
    }
    biasSum.forward(dstGrad, biasGrad);
  }

  private Primitive backwardWeights(boolean biased) {
    try (Recipe recipe = new Recipe(engine, "linear backward (weights)" + shape)) {
      MemorySegment s = recipe.reads("src", DNNL_ARG_WEIGHTS(), src);
      MemorySegment d = recipe.reads("dstGrad", DNNL_ARG_SRC(), dst.transpose());
      MemorySegment w = recipe.writes("weightGrad", DNNL_ARG_DST(), weight);
      if (biased) {
        // Not the product's: oneDNN ignores it, but it is checked before anything is written.
        recipe.writes("biasGrad", DNNL_ARG_DIFF_BIAS(), Layout.rowMajor(bias.numel()));
      }
      recipe.flops(flops());
      recipe.passesOver(Recipe.BRGEMM_AVX2);
      return recipe.buildProduct(d, s, MemorySegment.NULL, w);
    }
  }

  private long flops() {
    return 2 * src.numel() * dst.size(1);
  }
}
