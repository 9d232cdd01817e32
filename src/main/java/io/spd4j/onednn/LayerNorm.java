package io.spd4j.onednn;

import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DIFF_DST;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DIFF_SCALE;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DIFF_SHIFT;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DIFF_SRC;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DST;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_MEAN;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_SCALE;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_SHIFT;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_SRC;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_VARIANCE;

import io.spd4j.generated.dnnl.dnnl_h;
import io.spd4j.onednn.Recipe.Argument;
import java.lang.foreign.MemorySegment;

/**
 * Layer normalization (Ba, Kiros, Hinton 2016) of each row: dst = (src − mean) / √(variance + ε) ·
 * scale + shift, with src and dst [rows, features], scale and shift [features], mean and (biased)
 * variance [rows]. Made by {@link OneDnn#layerNorm}; confined to its OneDnn's thread.
 */
public final class LayerNorm {
  /** The largest number of features, 2²⁴: oneDNN compiles code for each few of them. */
  public static final int MAX_FEATURES = 1 << 24;

  private final Engine engine;
  private final String shape;
  private final Layout matrix;
  private final Layout features;
  private final Layout rows;
  private final float epsilon;
  private final Call forward;
  private final Call backward;

  LayerNorm(Engine engine, long rows, long features, float epsilon) {
    this.engine = engine;
    this.epsilon = epsilon;
    if (!(epsilon > 0 && Float.isFinite(epsilon))) {
      throw new IllegalArgumentException("epsilon must be more than 0 and finite, not " + epsilon);
    }
    if (features > MAX_FEATURES) {
      throw new IllegalArgumentException(
          "features must be 1 to " + MAX_FEATURES + ", not " + features);
    }
    shape = " " + rows + "x" + features;
    matrix = Check.matrix("rows", rows, "features", features);
    this.features = Layout.rowMajor(features);
    this.rows = Layout.rowMajor(rows);
    forward = forward();
    backward = backward();
  }

  /** Normalizes src, and writes mean and variance for the backward pass. */
  public void forward(
      MemorySegment src,
      MemorySegment scale,
      MemorySegment shift,
      MemorySegment dst,
      MemorySegment mean,
      MemorySegment variance) {
    forward.bind(0, src).bind(1, scale).bind(2, shift);
    forward.bind(3, dst).bind(4, mean).bind(5, variance).run();
  }

  private Call forward() {
    Recipe recipe = new Recipe(engine, "layer normalization forward" + shape);
    Argument s = recipe.reads("src", DNNL_ARG_SRC(), matrix);
    recipe.reads("scale", DNNL_ARG_SCALE(), features);
    recipe.reads("shift", DNNL_ARG_SHIFT(), features);
    Argument d = recipe.writes("dst", DNNL_ARG_DST(), matrix);
    Argument m = recipe.writes("mean", DNNL_ARG_MEAN(), rows);
    recipe.writes("variance", DNNL_ARG_VARIANCE(), rows);
    return recipe.computes(c ->
        c.make((out, attributes) ->
            forward(out, c.descriptor(s), c.descriptor(d), c.descriptor(m), attributes)));
  }

  private int forward(
      MemorySegment out,
      MemorySegment src,
      MemorySegment dst,
      MemorySegment statistics,
      MemorySegment attributes) {
    return dnnl_h.dnnl_layer_normalization_forward_primitive_desc_create(
        out,
        engine.handle(),
        dnnl_h.dnnl_forward_training(),
        src,
        dst,
        statistics,
        epsilon,
        flags(),
        attributes);
  }

  private static int flags() {
    return dnnl_h.dnnl_use_scale() | dnnl_h.dnnl_use_shift();
  }

  /**
   * Computes the gradients of src, scale and shift, overwriting all three.
   *
   * @param src the forward pass's input
   * @param mean from the forward pass
   * @param variance from the forward pass
   */
  public void backward(
      MemorySegment src,
      MemorySegment dstGrad,
      MemorySegment scale,
      MemorySegment mean,
      MemorySegment variance,
      MemorySegment srcGrad,
      MemorySegment scaleGrad,
      MemorySegment shiftGrad) {
    backward.bind(0, src).bind(1, dstGrad).bind(2, scale).bind(3, mean).bind(4, variance);
    backward.bind(5, srcGrad).bind(6, scaleGrad).bind(7, shiftGrad).run();
  }

  private Call backward() {
    Recipe recipe = new Recipe(engine, "layer normalization backward" + shape);
    Argument src = recipe.reads("src", DNNL_ARG_SRC(), matrix);
    Argument dstGrad = recipe.reads("dstGrad", DNNL_ARG_DIFF_DST(), matrix);
    recipe.reads("scale", DNNL_ARG_SCALE(), features);
    Argument mean = recipe.reads("mean", DNNL_ARG_MEAN(), rows);
    recipe.reads("variance", DNNL_ARG_VARIANCE(), rows);
    recipe.writes("srcGrad", DNNL_ARG_DIFF_SRC(), matrix);
    recipe.writes("scaleGrad", DNNL_ARG_DIFF_SCALE(), features);
    recipe.writes("shiftGrad", DNNL_ARG_DIFF_SHIFT(), features);
    return recipe.computes(c -> {
      MemorySegment s = c.descriptor(src);
      MemorySegment d = c.descriptor(dstGrad);
      MemorySegment m = c.descriptor(mean);
      return c.makeBackward(
          (out, attributes) -> forward(out, s, d, m, attributes),
          (out, hint, attributes) ->
              dnnl_h.dnnl_layer_normalization_backward_primitive_desc_create(
                  out,
                  engine.handle(),
                  dnnl_h.dnnl_backward(),
                  s,
                  d,
                  s,
                  m,
                  epsilon,
                  flags(),
                  hint,
                  attributes));
    });
  }
}
