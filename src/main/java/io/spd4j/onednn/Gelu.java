package io.spd4j.onednn;

import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DIFF_DST;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DIFF_SRC;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DST;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_SRC;

import io.spd4j.generated.dnnl.dnnl_h;
import io.spd4j.onednn.Recipe.Argument;
import java.lang.foreign.MemorySegment;

/**
 * The Gaussian error linear unit (Hendrycks, Gimpel 2016), exact: dst = src·½·(1 + erf(src/√2)).
 * Made by {@link OneDnn#gelu}; confined to its OneDnn's thread.
 */
public final class Gelu {
  private final Engine engine;
  private final String shape;
  private final Layout vector;
  private final Call forward;
  private final Call backward;

  Gelu(Engine engine, long numel) {
    this.engine = engine;
    shape = " " + numel;
    vector = Layout.rowMajor(Check.size("numel", numel));
    forward = forward();
    backward = backward();
  }

  /** Computes dst = GELU(src). dst may be src, unless a backward pass follows: it needs src. */
  public void forward(MemorySegment src, MemorySegment dst) {
    forward.bind(0, src).bind(1, dst).run();
  }

  private Call forward() {
    Recipe recipe = new Recipe(engine, "GELU forward" + shape);
    Argument s = recipe.reads("src", DNNL_ARG_SRC(), vector);
    Argument d = recipe.writesOver("dst", DNNL_ARG_DST(), vector, "src");
    return recipe.computes(c ->
        c.make((out, attributes) -> forward(out, c.descriptor(s), c.descriptor(d), attributes)));
  }

  private int forward(
      MemorySegment out, MemorySegment src, MemorySegment dst, MemorySegment attributes) {
    return dnnl_h.dnnl_eltwise_forward_primitive_desc_create(
        out,
        engine.handle(),
        dnnl_h.dnnl_forward_training(),
        dnnl_h.dnnl_eltwise_gelu_erf(),
        src,
        dst,
        0,
        0,
        attributes);
  }

  /**
   * Computes srcGrad = dstGrad·GELU′(src). srcGrad may be dstGrad.
   *
   * @param src the forward pass's input
   */
  public void backward(MemorySegment src, MemorySegment dstGrad, MemorySegment srcGrad) {
    backward.bind(0, src).bind(1, dstGrad).bind(2, srcGrad).run();
  }

  private Call backward() {
    Recipe recipe = new Recipe(engine, "GELU backward" + shape);
    Argument src = recipe.reads("src", DNNL_ARG_SRC(), vector);
    recipe.reads("dstGrad", DNNL_ARG_DIFF_DST(), vector);
    recipe.writesOver("srcGrad", DNNL_ARG_DIFF_SRC(), vector, "dstGrad");
    return recipe.computes(c -> {
      MemorySegment s = c.descriptor(src);
      return c.makeBackward(
          (out, attributes) -> forward(out, s, s, attributes),
          (out, hint, attributes) ->
              dnnl_h.dnnl_eltwise_backward_primitive_desc_create(
                  out,
                  engine.handle(),
                  dnnl_h.dnnl_eltwise_gelu_erf(),
                  s,
                  s,
                  s,
                  0,
                  0,
                  hint,
                  attributes));
    });
  }
}
