package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The kernels in the Vector API, at the machine's preferred width or at the one that {@code
 * -Dspd4j.vector.bits} names (128, 256, 512). The lanes of the sums lie in memory, so that one loop
 * serves every width; what is left behind the last whole vector is plain Java's.
 *
 * <p>Each rule has a loop of its own, as a JVM that has seen several rules would otherwise test for
 * them in every iteration. What the loops share is in methods that are small even when compiled by
 * themselves: the JIT inlines no others then, and a vector that crosses a call goes to the heap.
 */
final class VectorKernels extends JavaKernels {
  private static final VectorSpecies<Float> S = species();
  private static final VectorSpecies<Double> D = VectorSpecies.of(double.class, S.vectorShape());
  private static final int WIDTH = S.length();
  private static final int LANES = BlockTable.LANES;
  private static final long SET = (long) LANES * Float.BYTES;
  private static final ByteOrder ORDER = ByteOrder.nativeOrder();
  private static final VectorShuffle<Float> BY_8 = by(8);
  private static final VectorShuffle<Float> BY_4 = by(4);
  private static final VectorShuffle<Float> BY_2 = by(2);
  private static final VectorShuffle<Float> BY_1 = by(1);

  private static VectorSpecies<Float> species() {
    int preferred = Math.min(FloatVector.SPECIES_PREFERRED.vectorBitSize(), 512);
    int bits = Integer.getInteger("spd4j.vector.bits", preferred);
    if (bits != 128 && bits != 256 && bits != 512) {
      throw new IllegalArgumentException("vectors of " + bits + " bits, not 128, 256 or 512");
    }
    return VectorSpecies.of(float.class, VectorShape.forBitSize(bits));
  }

  @Override
  public String name() {
    return "vector";
  }

  @Override
  public String detail() {
    return S.vectorBitSize() + " bits";
  }

  @Override
  void update(BlockTable table, long block, TensorArrays a, Scalars k, MemorySegment lanes) {
    int n = table.length(block);
    int done = S.loopBound(n);
    switch (k.rule) {
      case ADAMW -> adamw(table, block, a, k, done);
      case L2SP -> l2sp(table, block, a, k, done);
      case L2SP_COUPLED -> l2spCoupled(table, block, a, k, done);
      case SPD -> spd(table, block, a, k, done, lanes);
    }
    if (done < n) {
      ScalarKernels.update(table, block, a, k, lanes, done);
    }
    if (k.rule == Rule.SPD) {
      table.spdSums(block, fold(lanes, 0), fold(lanes, 1), fold(lanes, 2));
      clear(lanes);
    }
  }

  private static FloatVector load(MemorySegment array, long at) {
    return FloatVector.fromMemorySegment(S, array, at, ORDER);
  }

  /** The first moment, stored. */
  private static FloatVector expAvg(MemorySegment array, long at, FloatVector g, Scalars k) {
    FloatVector m = load(array, at).mul(k.beta1).add(g.mul(k.oneMinusBeta1));
    m.intoMemorySegment(array, at, ORDER);
    return m;
  }

  /** The second moment, stored. */
  private static FloatVector expAvgSq(MemorySegment array, long at, FloatVector g, Scalars k) {
    FloatVector v = load(array, at).mul(k.beta2).add(g.mul(k.oneMinusBeta2).mul(g));
    v.intoMemorySegment(array, at, ORDER);
    return v;
  }

  /** AMSGrad's maximum, stored. */
  private static FloatVector maxExpAvgSq(MemorySegment array, long at, FloatVector v) {
    FloatVector max = load(array, at);
    FloatVector s =
        max.blend(v, v.compare(VectorOperators.GT, max).or(v.test(VectorOperators.IS_NAN)));
    s.intoMemorySegment(array, at, ORDER);
    return s;
  }

  private static void adamw(BlockTable table, long block, TensorArrays a, Scalars k, int bound) {
    final MemorySegment param = a.param();
    final MemorySegment grad = a.grad();
    final MemorySegment expAvg = a.expAvg();
    final MemorySegment expAvgSq = a.expAvgSq();
    final MemorySegment max = a.maxExpAvgSq();
    final long from = table.begin(block) * Float.BYTES;
    for (int i = 0; i < bound; i += WIDTH) {
      final long at = from + (long) i * Float.BYTES;
      final FloatVector g = load(grad, at).mul(k.gradScale);
      final FloatVector m = expAvg(expAvg, at, g, k);
      final FloatVector v = expAvgSq(expAvgSq, at, g, k);
      final FloatVector s = max == null ? v : maxExpAvgSq(max, at, v);
      final FloatVector d = s.lanewise(VectorOperators.SQRT).mul(k.invSqrtBias2).add(k.eps);
      load(param, at)
          .mul(k.decay)
          .sub(m.mul(k.stepSize).div(d))
          .intoMemorySegment(param, at, ORDER);
    }
  }

  private static void l2sp(BlockTable table, long block, TensorArrays a, Scalars k, int bound) {
    final MemorySegment param = a.param();
    final MemorySegment grad = a.grad();
    final MemorySegment anchors = a.anchor();
    final MemorySegment expAvg = a.expAvg();
    final MemorySegment expAvgSq = a.expAvgSq();
    final MemorySegment max = a.maxExpAvgSq();
    final long from = table.begin(block) * Float.BYTES;
    for (int i = 0; i < bound; i += WIDTH) {
      final long at = from + (long) i * Float.BYTES;
      final FloatVector theta = load(param, at);
      final FloatVector dev = anchors == null ? theta : theta.sub(load(anchors, at));
      final FloatVector g = load(grad, at).mul(k.gradScale);
      final FloatVector m = expAvg(expAvg, at, g, k);
      final FloatVector v = expAvgSq(expAvgSq, at, g, k);
      final FloatVector s = max == null ? v : maxExpAvgSq(max, at, v);
      final FloatVector d = s.lanewise(VectorOperators.SQRT).mul(k.invSqrtBias2).add(k.eps);
      theta.sub(dev.mul(k.decay)).sub(m.mul(k.stepSize).div(d)).intoMemorySegment(param, at, ORDER);
    }
  }

  private static void l2spCoupled(
      BlockTable table, long block, TensorArrays a, Scalars k, int bound) {
    final MemorySegment param = a.param();
    final MemorySegment grad = a.grad();
    final MemorySegment anchors = a.anchor();
    final MemorySegment expAvg = a.expAvg();
    final MemorySegment expAvgSq = a.expAvgSq();
    final MemorySegment max = a.maxExpAvgSq();
    final long from = table.begin(block) * Float.BYTES;
    for (int i = 0; i < bound; i += WIDTH) {
      final long at = from + (long) i * Float.BYTES;
      final FloatVector theta = load(param, at);
      final FloatVector dev = anchors == null ? theta : theta.sub(load(anchors, at));
      final FloatVector g = load(grad, at).mul(k.gradScale).add(dev.mul(k.decay));
      final FloatVector m = expAvg(expAvg, at, g, k);
      final FloatVector v = expAvgSq(expAvgSq, at, g, k);
      final FloatVector s = max == null ? v : maxExpAvgSq(max, at, v);
      final FloatVector d = s.lanewise(VectorOperators.SQRT).mul(k.invSqrtBias2).add(k.eps);
      theta.sub(m.mul(k.stepSize).div(d)).intoMemorySegment(param, at, ORDER);
    }
  }

  private static void spd(
      BlockTable table, long block, TensorArrays a, Scalars k, int bound, MemorySegment lanes) {
    final MemorySegment param = a.param();
    final MemorySegment grad = a.grad();
    final MemorySegment anchors = a.anchor();
    final MemorySegment expAvg = a.expAvg();
    final MemorySegment expAvgSq = a.expAvgSq();
    final MemorySegment max = a.maxExpAvgSq();
    final FloatVector origin = FloatVector.zero(S);
    final long from = table.begin(block) * Float.BYTES;
    for (int i = 0; i < bound; i += WIDTH) {
      final long at = from + (long) i * Float.BYTES;
      final FloatVector theta = load(param, at);
      final FloatVector anchor = anchors == null ? origin : load(anchors, at);
      final FloatVector dev = theta.sub(anchor);
      final FloatVector g = load(grad, at).mul(k.gradScale);
      final FloatVector m = expAvg(expAvg, at, g, k);
      final FloatVector v = expAvgSq(expAvgSq, at, g, k);
      final FloatVector s = max == null ? v : maxExpAvgSq(max, at, v);
      final FloatVector d = s.lanewise(VectorOperators.SQRT).mul(k.invSqrtBias2).add(k.eps);
      final FloatVector updated = theta.sub(m.mul(k.stepSize).div(d));
      updated.intoMemorySegment(param, at, ORDER);
      final FloatVector newDev = updated.sub(anchor);
      final long dot = (long) (i & (LANES - 1)) * Float.BYTES;
      final long devSq = dot + SET;
      final long newDevSq = devSq + SET;
      FloatVector.fromMemorySegment(S, lanes, dot, ORDER)
          .add(g.mul(dev))
          .intoMemorySegment(lanes, dot, ORDER);
      FloatVector.fromMemorySegment(S, lanes, devSq, ORDER)
          .add(dev.mul(dev))
          .intoMemorySegment(lanes, devSq, ORDER);
      FloatVector.fromMemorySegment(S, lanes, newDevSq, ORDER)
          .add(newDev.mul(newDev))
          .intoMemorySegment(lanes, newDevSq, ORDER);
    }
  }

  /** The sum of a set of lanes: in vectors as long as the halves are. */
  private static double fold(MemorySegment lanes, int set) {
    final long from = set * SET;
    for (int width = LANES / 2; width >= WIDTH; width /= 2) {
      for (int lane = 0; lane < width; lane += WIDTH) {
        final long at = from + (long) lane * Float.BYTES;
        load(lanes, at)
            .add(load(lanes, at + (long) width * Float.BYTES))
            .intoMemorySegment(lanes, at, ORDER);
      }
    }
    FloatVector sum = load(lanes, from);
    if (WIDTH > 8) {
      sum = sum.add(sum.rearrange(BY_8));
    }
    if (WIDTH > 4) {
      sum = sum.add(sum.rearrange(BY_4));
    }
    sum = sum.add(sum.rearrange(BY_2));
    return sum.add(sum.rearrange(BY_1)).lane(0);
  }

  /** Brings lane l + width to lane l; lanes that have none there do not matter any more. */
  private static VectorShuffle<Float> by(int width) {
    return VectorShuffle.fromOp(S, lane -> (lane + width) % WIDTH);
  }

  private static void clear(MemorySegment lanes) {
    for (long at = 0; at < 3 * SET; at += S.vectorByteSize()) {
      FloatVector.zero(S).intoMemorySegment(lanes, at, ORDER);
    }
  }

  @Override
  void project(BlockTable table, long block, TensorArrays a, float shrink) {
    int n = table.length(block);
    int done = S.loopBound(n);
    project(table, block, a, shrink, done);
    if (done < n) {
      ScalarKernels.project(table, block, a, shrink, done);
    }
  }

  private static void project(
      BlockTable table, long block, TensorArrays a, float shrink, int bound) {
    final MemorySegment param = a.param();
    final MemorySegment anchors = a.anchor();
    final long from = table.begin(block) * Float.BYTES;
    for (int i = 0; i < bound; i += WIDTH) {
      final long at = from + (long) i * Float.BYTES;
      final FloatVector theta = load(param, at);
      final FloatVector dev = anchors == null ? theta : theta.sub(load(anchors, at));
      theta.sub(dev.mul(shrink)).intoMemorySegment(param, at, ORDER);
    }
  }

  @Override
  void gradSq(BlockTable table, long block, MemorySegment grad, MemorySegment lanes) {
    int n = table.length(block);
    int done = S.loopBound(n);
    gradSq(table, block, grad, lanes, done);
    if (done < n) {
      ScalarKernels.gradSq(table, block, grad, lanes, done);
    }
    table.gradSq(block, Lanes.fold(lanes));
    clear(lanes);
  }

  private static void gradSq(
      BlockTable table, long block, MemorySegment grad, MemorySegment lanes, int bound) {
    final long from = table.begin(block) * Float.BYTES;
    for (int i = 0; i < bound; i += WIDTH) {
      final FloatVector g = load(grad, from + (long) i * Float.BYTES);
      final DoubleVector low = (DoubleVector) g.convertShape(VectorOperators.F2D, D, 0);
      final DoubleVector high = (DoubleVector) g.convertShape(VectorOperators.F2D, D, 1);
      final long lane = (long) (i & (LANES - 1)) * Double.BYTES;
      final long next = lane + D.vectorByteSize();
      DoubleVector.fromMemorySegment(D, lanes, lane, ORDER)
          .add(low.mul(low))
          .intoMemorySegment(lanes, lane, ORDER);
      DoubleVector.fromMemorySegment(D, lanes, next, ORDER)
          .add(high.mul(high))
          .intoMemorySegment(lanes, next, ORDER);
    }
  }
}
