package io.spd4j.onednn;

import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DST;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_SRC;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_WEIGHTS;

import io.spd4j.ElementType;
import io.spd4j.onednn.Recipe.Argument;
import java.lang.foreign.MemorySegment;

/**
 * A batch of matrix products, c = scale·a·b (+ addend), with a [batch…, m, k], b [batch…, k, n] and
 * c [batch…, m, n] in any {@link Layout}: transposed matrices and attention heads that lie side by
 * side are read and written in place. The operands, which are what is multiplied (a, b and cGrad),
 * are float32, or bfloat16 if the product was made so; everything else is float32. Segments may be
 * larger than needed, so float32 values that are given as bfloat16 operands are not noticed: their
 * halves are read as numbers. Made by {@link OneDnn#matMul}; confined to its OneDnn's thread.
 */
public final class MatMul {
  private final Engine engine;
  private final Layout a;
  private final Layout b;
  private final Layout c;
  private final float scale;
  private final Layout addend;
  private final ElementType operands;
  private final Call forward;
  private final Call backwardA;
  private final Call backwardB;

  MatMul(
      Engine engine,
      Layout a,
      Layout b,
      Layout c,
      float scale,
      Layout addend,
      ElementType operands) {
    this.engine = engine;
    this.a = Check.notNull("a", a);
    this.b = Check.notNull("b", b);
    this.c = Check.notNull("c", c);
    this.scale = scale;
    this.addend = addend;
    this.operands = Check.operands(operands);
    if (!Float.isFinite(scale)) {
      throw new IllegalArgumentException("scale must be finite, not " + scale);
    }
    int rank = a.rank();
    boolean fits = rank >= 2 && b.rank() == rank && c.rank() == rank;
    for (int i = 0; fits && i < rank - 2; i++) {
      fits = a.size(i) == b.size(i) && a.size(i) == c.size(i);
    }
    if (!fits
        || a.size(rank - 1) != b.size(rank - 2)
        || a.size(rank - 2) != c.size(rank - 2)
        || b.size(rank - 1) != c.size(rank - 1)) {
      throw new IllegalArgumentException(a + " times " + b + " cannot give " + c);
    }
    boolean broadcasts = addend == null || addend.rank() == rank;
    for (int i = 0; addend != null && broadcasts && i < rank; i++) {
      broadcasts = addend.size(i) == c.size(i) || addend.size(i) == 1;
    }
    if (!broadcasts) {
      throw new IllegalArgumentException(addend + " cannot be added to " + c);
    }
    forward = product("matmul forward", "a", a, "b", b, "c", c, addend);
    backwardA = product("matmul backward (a)", "cGrad", c, "b", b.transpose(), "aGrad", a, null);
    backwardB = product("matmul backward (b)", "a", a.transpose(), "cGrad", c, "bGrad", b, null);
  }

  /**
   * Computes c = scale·a·b.
   *
   * @throws IllegalStateException if this product was made with an addend
   */
  public void forward(MemorySegment a, MemorySegment b, MemorySegment c) {
    if (addend != null) {
      throw new IllegalStateException(
          "the product " + this.a + " by " + this.b + " was made with an addend of " + addend);
    }
    bindForward(a, b, c).run();
  }

  /**
   * Computes c = scale·a·b + addend.
   *
   * @throws IllegalStateException if this product was made without an addend
   */
  public void forward(MemorySegment a, MemorySegment b, MemorySegment addend, MemorySegment c) {
    if (this.addend == null) {
      throw new IllegalStateException(
          "the product " + this.a + " by " + this.b + " was made without an addend");
    }
    bindForward(a, b, c).bind(3, addend).run();
  }

  private Call bindForward(MemorySegment a, MemorySegment b, MemorySegment c) {
    return forward.bind(0, a).bind(1, b).bind(2, c);
  }

  /**
   * Computes aGrad = scale·cGrad·bᵀ. The addend's gradient is cGrad, summed over the dimensions in
   * which the addend has size 1.
   */
  public void backwardA(MemorySegment cGrad, MemorySegment b, MemorySegment aGrad) {
    backwardA.bind(0, cGrad).bind(1, b).bind(2, aGrad).run();
  }

  /** Computes bGrad = scale·aᵀ·cGrad. */
  public void backwardB(MemorySegment a, MemorySegment cGrad, MemorySegment bGrad) {
    backwardB.bind(0, a).bind(1, cGrad).bind(2, bGrad).run();
  }

  private Call product(
      String what,
      String leftName,
      Layout left,
      String rightName,
      Layout right,
      String resultName,
      Layout result,
      Layout added) {
    String shape = " " + left + " by " + right + Check.suffix(operands);
    // oneDNN writes a column-major result in a plain loop, so compute cᵀ = bᵀ·aᵀ instead.
    boolean flip = result.strides().getLast() > result.strides().get(result.rank() - 2);
    Recipe recipe = new Recipe(engine, what + shape);
    Argument l =
        recipe.reads(
            leftName,
            flip ? DNNL_ARG_WEIGHTS() : DNNL_ARG_SRC(),
            flip ? left.transpose() : left,
            operands);
    Argument r =
        recipe.reads(
            rightName,
            flip ? DNNL_ARG_SRC() : DNNL_ARG_WEIGHTS(),
            flip ? right.transpose() : right,
            operands);
    Argument d = recipe.writes(resultName, DNNL_ARG_DST(), flip ? result.transpose() : result);
    recipe.flops(2 * left.numel() * right.sizes().getLast());
    if (scale != 1) {
      recipe.scale(scale);
    }
    if (added == null) {
      recipe.passesOver(Recipe.BRGEMM_AVX512, Recipe.BRGEMM_AVX2);
    } else {
      recipe.adds("addend", flip ? added.transpose() : added);
    }
    return recipe.product(flip ? r : l, flip ? l : r, null, d);
  }
}
