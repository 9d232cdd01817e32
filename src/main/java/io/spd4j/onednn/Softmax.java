package io.spd4j.onednn;

import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DIFF_DST;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DIFF_SRC;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DST;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_SRC;

import io.spd4j.generated.dnnl.dnnl_h;
import io.spd4j.onednn.Recipe.Argument;
import java.lang.foreign.MemorySegment;

/**
 * Softmax of each row: dst = exp(src − max) / Σ exp(src − max), [rows, columns]. Made by {@link
 * OneDnn#softmax}; confined to its OneDnn's thread.
 */
public final class Softmax {
  private final Engine engine;
  private final String shape;
  private final Layout matrix;
  private final Call forward;
  private final Call backward;

  Softmax(Engine engine, long rows, long columns) {
    this.engine = engine;
    shape = " " + rows + "x" + columns;
    matrix = Check.matrix("rows", rows, "columns", columns);
    forward = forward();
    backward = backward();
  }

  /** Computes the softmax of src. dst may be src. */
  public void forward(MemorySegment src, MemorySegment dst) {
    forward.bind(0, src).bind(1, dst).run();
  }

  private Call forward() {
    Recipe recipe = new Recipe(engine, "softmax forward" + shape);
    Argument s = recipe.reads("src", DNNL_ARG_SRC(), matrix);
    Argument d = recipe.writesOver("dst", DNNL_ARG_DST(), matrix, "src");
    return recipe.computes(c ->
        c.make((out, attributes) -> forward(out, c.descriptor(s), c.descriptor(d), attributes)));
  }

  private int forward(
      MemorySegment out, MemorySegment src, MemorySegment dst, MemorySegment attributes) {
    return dnnl_h.dnnl_softmax_forward_primitive_desc_create(
        out,
        engine.handle(),
        dnnl_h.dnnl_forward_training(),
        dnnl_h.dnnl_softmax_accurate(),
        src,
        dst,
        1,
        attributes);
  }

  /**
   * Computes srcGrad = dst·(dstGrad − Σ dst·dstGrad). srcGrad may be dstGrad.
   *
   * @param dst the result of the forward pass
   */
  public void backward(MemorySegment dst, MemorySegment dstGrad, MemorySegment srcGrad) {
    backward.bind(0, dst).bind(1, dstGrad).bind(2, srcGrad).run();
  }

  private Call backward() {
    Recipe recipe = new Recipe(engine, "softmax backward" + shape);
    Argument dst = recipe.reads("dst", DNNL_ARG_DST(), matrix);
    recipe.reads("dstGrad", DNNL_ARG_DIFF_DST(), matrix);
    recipe.writesOver("srcGrad", DNNL_ARG_DIFF_SRC(), matrix, "dstGrad");
    return recipe.computes(c -> {
      MemorySegment d = c.descriptor(dst);
      return c.makeBackward(
          (out, attributes) -> forward(out, d, d, attributes),
          (out, hint, attributes) ->
              dnnl_h.dnnl_softmax_backward_primitive_desc_create(
                  out,
                  engine.handle(),
                  dnnl_h.dnnl_softmax_accurate(),
                  d,
                  d,
                  d,
                  1,
                  hint,
                  attributes));
    });
  }
}
