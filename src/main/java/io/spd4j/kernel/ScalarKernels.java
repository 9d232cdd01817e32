package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;

import java.lang.foreign.MemorySegment;

/** The contract in plain Java: what every other backend is compared with. */
final class ScalarKernels extends JavaKernels {
  private static final int LANES = BlockTable.LANES;
  private static final int TILE = Workspace.TILE;

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
    for (int i = first; i < end; i += TILE) {
      int n = Math.min(TILE, end - i);
      w.read(a, begin + i, n);
      element(k, a.maxExpAvgSq() != null, w, n);
      if (k.rule == Rule.SPD) {
        sums(w, i, n);
      }
      w.write(a, begin + i, n);
    }
  }

  private static void element(Scalars k, boolean amsgrad, Workspace w, int n) {
    final Rule rule = k.rule;
    final float[] param = w.param;
    final float[] grad = w.grad;
    final float[] anchor = w.anchor;
    final float[] expAvg = w.expAvg;
    final float[] expAvgSq = w.expAvgSq;
    final float[] maxExpAvgSq = w.maxExpAvgSq;
    final float[] dev = w.dev;
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
  private static void sums(Workspace w, int first, int n) {
    final float[] dot = w.lanes.dot;
    final float[] devSq = w.lanes.devSq;
    final float[] newDevSq = w.lanes.newDevSq;
    for (int i = 0; i < n; i++) {
      final int lane = (first + i) % LANES;
      final float dev = w.dev[i];
      final float newDev = w.param[i] - w.anchor[i];
      dot[lane] += w.grad[i] * dev;
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
    for (int i = first; i < end; i += TILE) {
      int n = Math.min(TILE, end - i);
      Workspace.read(a.param(), begin + i, w.param, n);
      Workspace.read(a.anchor(), begin + i, w.anchor, n);
      project(shrink, w.param, w.anchor, n);
      Workspace.write(w.param, a.param(), begin + i, n);
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
    for (int i = first; i < end; i += TILE) {
      int n = Math.min(TILE, end - i);
      Workspace.read(a.grad(), begin + i, w.grad, n);
      addSquares(w.grad, i, n, w.lanes.gradSq);
    }
  }

  private static void addSquares(float[] grad, int first, int n, double[] lanes) {
    for (int i = 0; i < n; i++) {
      final double g = grad[i];
      lanes[(first + i) % LANES] += g * g;
    }
  }
}
