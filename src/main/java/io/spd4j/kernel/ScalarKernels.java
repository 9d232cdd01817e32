package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;

import java.lang.foreign.MemorySegment;

/** The contract in plain Java: what every other backend is compared with. */
final class ScalarKernels extends JavaKernels {
  private static final int LANES = BlockTable.LANES;
  private static final int TILE = Tile.LENGTH;

  @Override
  public String name() {
    return "scalar";
  }

  @Override
  public String detail() {
    return "plain Java";
  }

  @Override
  void update(BlockTable table, int tensor, long block, Scalars k, Workspace w) {
    update(table, tensor, block, k, w, 0);
    if (k.rule == Rule.SPD) {
      long row = block * TableLayout.SUMS.byteSize();
      MemorySegment sums = table.sums();
      sums.set(JAVA_DOUBLE, row + TableLayout.GRAD_DOT, Lanes.fold(w.lanes.dot));
      sums.set(JAVA_DOUBLE, row + TableLayout.DEV_SQ, Lanes.fold(w.lanes.devSq));
      sums.set(JAVA_DOUBLE, row + TableLayout.NEW_DEV_SQ, Lanes.fold(w.lanes.newDevSq));
    }
  }

  /** Updates the elements of a block from one on, and adds to the lanes. */
  static void update(BlockTable table, int tensor, long block, Scalars k, Workspace w, int first) {
    TensorArrays a = table.arrays(tensor);
    long begin = table.begin(tensor, block);
    int end = table.length(tensor, block);
    Tile tile = w.tile();
    for (int i = first; i < end; i += TILE) {
      int n = Math.min(TILE, end - i);
      tile.read(a, begin + i, n, k.rule != Rule.ADAMW);
      elements(k, a.maxExpAvgSq() != null, tile, n);
      if (k.rule == Rule.SPD) {
        sums(tile, w.lanes, i, n);
      }
      tile.write(a, begin + i, n);
    }
  }

  private static void elements(Scalars k, boolean amsgrad, Tile tile, int n) {
    final Rule rule = k.rule;
    final float[] param = tile.param;
    final float[] grad = tile.grad;
    final float[] anchor = tile.anchor;
    final float[] expAvg = tile.expAvg;
    final float[] expAvgSq = tile.expAvgSq;
    final float[] maxExpAvgSq = tile.maxExpAvgSq;
    final float[] dev = tile.dev;
    for (int i = 0; i < n; i++) {
      final float theta = param[i];
      final float d = theta - anchor[i];
      float g = grad[i] * k.gradScale;
      dev[i] = d;
      grad[i] = g;
      if (rule == Rule.L2SP_COUPLED) {
        g = g + k.decay * d;
      }
      final float m = k.beta1 * expAvg[i] + k.oneMinusBeta1 * g;
      final float v = k.beta2 * expAvgSq[i] + k.oneMinusBeta2 * g * g;
      expAvg[i] = m;
      expAvgSq[i] = v;
      float s = v;
      if (amsgrad) {
        final float max = maxExpAvgSq[i];
        s = v > max || v != v ? v : max;
        maxExpAvgSq[i] = s;
      }
      final float u = k.stepSize * m / ((float) Math.sqrt(s) * k.invSqrtBias2 + k.eps);
      param[i] =
          switch (rule) {
            case ADAMW -> theta * k.decay - u;
            case L2SP -> theta - k.decay * d - u;
            case L2SP_COUPLED, SPD -> theta - u;
          };
    }
  }

  /** Adds what SPD sums up of a tile's elements, the first of which is a block's i-th. */
  private static void sums(Tile tile, Lanes lanes, int first, int n) {
    final float[] dot = lanes.dot;
    final float[] devSq = lanes.devSq;
    final float[] newDevSq = lanes.newDevSq;
    for (int i = 0; i < n; i++) {
      final int lane = (first + i) % LANES;
      final float dev = tile.dev[i];
      final float newDev = tile.param[i] - tile.anchor[i];
      dot[lane] += tile.grad[i] * dev;
      devSq[lane] += dev * dev;
      newDevSq[lane] += newDev * newDev;
    }
  }

  @Override
  void project(BlockTable table, int tensor, long block, float shrink, Workspace w) {
    project(table, tensor, block, shrink, w, 0);
  }

  /** Projects the elements of a block from one on. */
  static void project(
      BlockTable table, int tensor, long block, float shrink, Workspace w, int first) {
    TensorArrays a = table.arrays(tensor);
    long begin = table.begin(tensor, block);
    int end = table.length(tensor, block);
    Tile tile = w.tile();
    for (int i = first; i < end; i += TILE) {
      int n = Math.min(TILE, end - i);
      Tile.read(a.param(), begin + i, tile.param, n);
      Tile.read(a.anchor(), begin + i, tile.anchor, n);
      project(shrink, tile.param, tile.anchor, n);
      Tile.write(tile.param, a.param(), begin + i, n);
    }
  }

  private static void project(float shrink, float[] param, float[] anchor, int n) {
    for (int i = 0; i < n; i++) {
      param[i] = param[i] - shrink * (param[i] - anchor[i]);
    }
  }

  @Override
  void gradSq(BlockTable table, int tensor, long block, Workspace w) {
    gradSq(table, tensor, block, w, 0);
    long row = block * TableLayout.SUMS.byteSize();
    table.sums().set(JAVA_DOUBLE, row + TableLayout.GRAD_SQ, Lanes.fold(w.lanes.gradSq));
  }

  /** Adds the squares of the gradients of a block from one on to the lanes. */
  static void gradSq(BlockTable table, int tensor, long block, Workspace w, int first) {
    TensorArrays a = table.arrays(tensor);
    long begin = table.begin(tensor, block);
    int end = table.length(tensor, block);
    Tile tile = w.tile();
    for (int i = first; i < end; i += TILE) {
      int n = Math.min(TILE, end - i);
      Tile.read(a.grad(), begin + i, tile.grad, n);
      addSquares(tile.grad, i, n, w.lanes.gradSq);
    }
  }

  private static void addSquares(float[] grad, int first, int n, double[] lanes) {
    for (int i = 0; i < n; i++) {
      final double g = grad[i];
      lanes[(first + i) % LANES] += g * g;
    }
  }
}
