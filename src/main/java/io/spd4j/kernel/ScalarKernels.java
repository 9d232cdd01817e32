package io.spd4j.kernel;

import io.spd4j.kernel.RandomWords.Use;

/** The numerics contract in plain Java. Tests compare every other backend with this one. */
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
  void update(SteppedTensor t, long begin, int n, Scalars k, Workspace w) {
    update(t, begin, 0, n, k, w);
    if (k.rule.decides()) {
      w.gradDot = Lanes.fold(w.lanes.dot);
      w.devSq = Lanes.fold(w.lanes.devSq);
      w.newDevSq = Lanes.fold(w.lanes.newDevSq);
    }
  }

  /** Updates the elements [begin + first, begin + end) of a tensor and adds to their lanes. */
  static void update(SteppedTensor t, long begin, int first, int end, Scalars k, Workspace w) {
    Tile tile = w.tile();
    for (int i = first; i < end; i += TILE) {
      int n = Math.min(TILE, end - i);
      tile.readParam(t, begin + i, n);
      tile.readGrad(t, begin + i, n);
      tile.readAnchor(t, begin + i, n, k.rule.isAnchored());
      tile.readMoments(t, begin + i, n);
      elements(k, t.maxExpAvgSq() != null, tile, n);
      if (k.rule.decides()) {
        sums(tile, w.lanes, i, n);
      }
      tile.writeParam(t, begin + i, n, k.step, Use.UPDATE);
      tile.writeMoments(t, begin + i, n, k.step);
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
      final float g = rule.grad(k.decay, d, grad[i] * k.gradScale);
      dev[i] = d;
      grad[i] = g;
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
      param[i] = rule.param(k.decay, theta, d, u);
    }
  }

  /** Adds a tile's n elements to SPD's sums; the tile starts at element first of its block. */
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
  void project(SteppedTensor t, long begin, int n, Scalars k, float shrink, Workspace w) {
    project(t, begin, 0, n, k, shrink, w);
  }

  /** Projects the elements [begin + first, begin + end) of a tensor. */
  static void project(
      SteppedTensor t, long begin, int first, int end, Scalars k, float shrink, Workspace w) {
    Tile tile = w.tile();
    for (int i = first; i < end; i += TILE) {
      int n = Math.min(TILE, end - i);
      tile.readParam(t, begin + i, n);
      tile.readAnchor(t, begin + i, n, true);
      project(shrink, tile.param, tile.anchor, n);
      tile.writeParam(t, begin + i, n, k.step, Use.PROJECT);
    }
  }

  private static void project(float shrink, float[] param, float[] anchor, int n) {
    for (int i = 0; i < n; i++) {
      param[i] = param[i] - shrink * (param[i] - anchor[i]);
    }
  }

  @Override
  void gradSq(SteppedTensor t, long begin, int n, Workspace w) {
    gradSq(t, begin, 0, n, w);
    w.gradSq = Lanes.fold(w.lanes.gradSq);
  }

  /** Adds the squared gradients [begin + first, begin + end) of a tensor to their lanes. */
  static void gradSq(SteppedTensor t, long begin, int first, int end, Workspace w) {
    Tile tile = w.tile();
    for (int i = first; i < end; i += TILE) {
      int n = Math.min(TILE, end - i);
      tile.readGrad(t, begin + i, n);
      addSquares(tile.grad, i, n, w.lanes.gradSq);
    }
  }

  private static void addSquares(float[] grad, int first, int n, double[] lanes) {
    for (int i = 0; i < n; i++) {
      final double g = grad[i];
      lanes[(first + i) % LANES] += g * g;
    }
  }

  @Override
  public void interpolate(Interpolands a) {
    interpolate(a, 0);
  }

  /** Interpolates the elements from begin on. */
  static void interpolate(Interpolands a, long begin) {
    Tile tile = Workspace.ofThread().tile();
    for (long at = begin; at < a.numel(); at += TILE) {
      int n = (int) Math.min(TILE, a.numel() - at);
      tile.readInterpolands(a, at, n);
      interpolate(a.fromWeight(), tile.anchor, a.toWeight(), tile.param, n);
      tile.writeInterpolated(a, at, n);
    }
  }

  /** Leaves the results in to. */
  private static void interpolate(
      float fromWeight, float[] from, float toWeight, float[] to, int n) {
    for (int i = 0; i < n; i++) {
      final float sum = fromWeight * from[i] + toWeight * to[i];
      to[i] = toWeight == 0 ? from[i] : fromWeight == 0 ? to[i] : sum;
    }
  }
}
