package io.spd4j.onednn;

import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_DST;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_SRC;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_WEIGHTS;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

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
  private final Layout matrix;
  private final Layout vector;
  private final Layout factor;
  private final MemorySegment weights;
  private Primitive forward;
  private Primitive backward;

  Reduction(Engine engine, Kind kind, long rows, long columns, int axis) {
    this.engine = engine;
    if (axis != 0 && axis != 1) {
      throw new IllegalArgumentException("axis must be 0 or 1, not " + axis);
    }
    matrix = Layout.rowMajor(Check.size("rows", rows), Check.size("columns", columns));
    shape = " (" + Check.notNull("kind", kind) + ") " + matrix + " over axis " + axis;
    overRows = axis == 0;
    vector = overRows ? Layout.rowMajor(1, columns) : Layout.rowMajor(rows, 1);
    factor = overRows ? Layout.rowMajor(1, rows) : Layout.rowMajor(columns, 1);
    weights = engine.arena().allocate(ValueLayout.JAVA_FLOAT, factor.numel());
    float weight = kind == Kind.SUM ? 1 : 1f / factor.numel();
    for (long i = 0; i < factor.numel(); i++) {
      weights.setAtIndex(ValueLayout.JAVA_FLOAT, i, weight);
    }
  }

  /**
   * Computes dst from src.
   *
   * @param src [rows, columns]
   * @param dst [columns] for axis 0, [rows] for axis 1
   */
  public void forward(MemorySegment src, MemorySegment dst) {
    if (forward == null) {
      forward = primitive("forward", "src", matrix, "dst", vector, factor);
    }
    forward.bind(0, src).bind(1, dst).bind(2, weights).run();
  }

  /** Spreads the gradient of the result over the matrix, overwriting srcGrad. */
  public void backward(MemorySegment dstGrad, MemorySegment srcGrad) {
    if (backward == null) {
      backward = primitive("backward", "dstGrad", vector, "srcGrad", matrix, factor.transpose());
    }
    backward.bind(0, dstGrad).bind(1, srcGrad).bind(2, weights).run();
  }

  private Primitive primitive(
      String pass, String readName, Layout read, String writtenName, Layout written, Layout ones) {
    int id = overRows ? DNNL_ARG_WEIGHTS() : DNNL_ARG_SRC();
    int onesId = overRows ? DNNL_ARG_SRC() : DNNL_ARG_WEIGHTS();
    try (Recipe recipe = new Recipe(engine, "reduction " + pass + shape)) {
      MemorySegment r = recipe.reads(readName, id, read);
      MemorySegment w = recipe.writes(writtenName, DNNL_ARG_DST(), written);
      MemorySegment o = recipe.reads("weights", onesId, ones);
      return recipe.buildExactProduct(overRows ? o : r, overRows ? r : o, MemorySegment.NULL, w);
    }
  }
}
