package io.spd4j.onednn;

import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DST;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_SRC;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_WEIGHTS;

import io.spd4j.onednn.Recipe.Argument;
import java.lang.foreign.MemorySegment;

/**
 * The sum or the mean of a matrix [rows, columns] over its rows (axis 0, a value for each column)
 * or its columns (axis 1, a value for each row). Made by {@link OneDnn#reduction}; confined to its
 * OneDnn's thread.
 *
 * <p>Computed as a product with a vector of ones (or 1/n), because oneDNN's own reduction over rows
 * is a plain loop, which takes two hundred times as long.
 */
public final class Reduction {
  /** What is computed. */
  public enum Kind {
    /** The sum over the axis. */
    SUM,
    /** The sum divided by the number of values. */
    MEAN
  }

  private final Engine engine;
  private final String shape;
  private final boolean overRows;
  private final Constant weights;
  private final Call forward;
  private final Call backward;

  Reduction(Engine engine, Kind kind, long rows, long columns, int axis) {
    this.engine = engine;
    if (axis != 0 && axis != 1) {
      throw new IllegalArgumentException("axis must be 0 or 1, not " + axis);
    }
    Layout matrix = Check.matrix("rows", rows, "columns", columns);
    shape = " (" + Check.notNull("kind", kind) + ") " + matrix + " over axis " + axis;
    overRows = axis == 0;
    Layout vector = overRows ? Layout.rowMajor(1, columns) : Layout.rowMajor(rows, 1);
    Layout factor = overRows ? Layout.rowMajor(1, rows) : Layout.rowMajor(columns, 1);
    float weight = kind == Kind.SUM ? 1 : 1f / factor.numel();
    weights = new Constant(engine, factor.numel(), weight);
    forward = call("forward", "src", matrix, "dst", vector, factor);
    backward = call("backward", "dstGrad", vector, "srcGrad", matrix, factor.transpose());
  }

  /**
   * Computes dst from src.
   *
   * @param src [rows, columns]
   * @param dst [columns] for axis 0, [rows] for axis 1
   */
  public void forward(MemorySegment src, MemorySegment dst) {
    bindForward(src, dst).run();
  }

  Call bindForward(MemorySegment src, MemorySegment dst) {
    return forward.bind(0, src).bind(1, dst);
  }

  /** Spreads the gradient of the result over the matrix, overwriting srcGrad. */
  public void backward(MemorySegment dstGrad, MemorySegment srcGrad) {
    backward.bind(0, dstGrad).bind(1, srcGrad).run();
  }

  private Call call(
      String pass,
      String readName,
      Layout read,
      String writtenName,
      Layout written,
      Layout factor) {
    int id = overRows ? DNNL_ARG_WEIGHTS() : DNNL_ARG_SRC();
    int factorId = overRows ? DNNL_ARG_SRC() : DNNL_ARG_WEIGHTS();
    Recipe recipe = new Recipe(engine, "reduction " + pass + shape);
    Argument r = recipe.reads(readName, id, read);
    Argument w = recipe.writes(writtenName, DNNL_ARG_DST(), written);
    Argument f = recipe.own("weights", factorId, factor, weights);
    return recipe.exactProduct(overRows ? f : r, overRows ? r : f, null, w);
  }
}
