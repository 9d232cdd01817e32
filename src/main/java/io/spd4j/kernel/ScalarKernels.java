package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;

/** The contract in plain Java: what every other backend is compared with. */
final class ScalarKernels extends JavaKernels {
  @Override
  public String name() {
    return "scalar";
  }

  @Override
  public String detail() {
    return "plain Java";
  }

  @Override
  void update(BlockTable table, long block, TensorArrays a, Scalars k, MemorySegment lanes) {
    update(table, block, a, k, lanes, 0);
    if (k.rule == Rule.SPD) {
      table.spdSums(block, Lanes.fold(lanes, 0), Lanes.fold(lanes, 1), Lanes.fold(lanes, 2));
      lanes.fill((byte) 0);
    }
  }

  /** Updates the elements of a block from one on, and adds to the lanes. */
  static void update(
      BlockTable table, long block, TensorArrays a, Scalars k, MemorySegment lanes, int first) {
    final long begin = table.begin(block);
    final int n = table.length(block);
    for (int i = first; i < n; i++) {
      final long at = begin + i;
      final float theta = get(a.param(), at);
      final float dev = a.anchor() == null ? theta : theta - get(a.anchor(), at);
      float g = get(a.grad(), at) * k.gradScale;
      if (k.rule == Rule.L2SP_COUPLED) {
        g = g + k.decay * dev;
      }
      final float m = k.beta1 * get(a.expAvg(), at) + k.oneMinusBeta1 * g;
      final float v = k.beta2 * get(a.expAvgSq(), at) + k.oneMinusBeta2 * g * g;
      set(a.expAvg(), at, m);
      set(a.expAvgSq(), at, v);
      float s = v;
      if (a.maxExpAvgSq() != null) {
        final float max = get(a.maxExpAvgSq(), at);
        s = v > max || v != v ? v : max;
        set(a.maxExpAvgSq(), at, s);
      }
      final float u = k.stepSize * m / ((float) Math.sqrt(s) * k.invSqrtBias2 + k.eps);
      final float updated =
          switch (k.rule) {
            case ADAMW -> theta * k.decay - u;
            case L2SP -> theta - k.decay * dev - u;
            case L2SP_COUPLED, SPD -> theta - u;
          };
      set(a.param(), at, updated);
      if (k.rule == Rule.SPD) {
        final int lane = i % BlockTable.LANES;
        final float newDev = a.anchor() == null ? updated : updated - get(a.anchor(), at);
        Lanes.add(lanes, 0, lane, g * dev);
        Lanes.add(lanes, 1, lane, dev * dev);
        Lanes.add(lanes, 2, lane, newDev * newDev);
      }
    }
  }

  @Override
  void project(BlockTable table, long block, TensorArrays a, float shrink) {
    project(table, block, a, shrink, 0);
  }

  /** Projects the elements of a block from one on. */
  static void project(BlockTable table, long block, TensorArrays a, float shrink, int first) {
    final long begin = table.begin(block);
    final int n = table.length(block);
    for (int i = first; i < n; i++) {
      final float theta = get(a.param(), begin + i);
      final float dev = a.anchor() == null ? theta : theta - get(a.anchor(), begin + i);
      set(a.param(), begin + i, theta - shrink * dev);
    }
  }

  @Override
  void gradSq(BlockTable table, long block, MemorySegment grad, MemorySegment lanes) {
    gradSq(table, block, grad, lanes, 0);
    table.gradSq(block, Lanes.fold(lanes));
    lanes.fill((byte) 0);
  }

  /** Adds the squares of the elements of a block from one on to the lanes. */
  static void gradSq(
      BlockTable table, long block, MemorySegment grad, MemorySegment lanes, int first) {
    final long begin = table.begin(block);
    final int n = table.length(block);
    for (int i = first; i < n; i++) {
      final double g = get(grad, begin + i);
      Lanes.add(lanes, i % BlockTable.LANES, g * g);
    }
  }

  private static float get(MemorySegment segment, long index) {
    return segment.get(JAVA_FLOAT, index * Float.BYTES);
  }

  private static void set(MemorySegment segment, long index, float value) {
    segment.set(JAVA_FLOAT, index * Float.BYTES, value);
  }
}
