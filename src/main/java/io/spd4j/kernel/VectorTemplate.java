package io.spd4j.kernel;

import static io.spd4j.kernel.VectorKernels.IN_REGISTERS;
import static io.spd4j.kernel.VectorKernels.ORDER;
import static io.spd4j.kernel.VectorKernels.S;
import static io.spd4j.kernel.VectorKernels.SET;
import static io.spd4j.kernel.VectorKernels.WIDTH;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The loops of every kind of step: each {@link VectorLoops} is this code once more. What it has in
 * methods is small: the JIT inlines no others, and a vector that crosses a call goes to the heap.
 *
 * <p>Where four vectors hold all lanes of a sum, the loop keeps them in registers, the one whose
 * turn it is always in the first: each iteration moves them on by one. Narrower vectors would be
 * too many for that; their lanes stay in memory.
 */
final class VectorTemplate implements VectorLoops {
  private static final Kind KIND = kind();
  private static final Rule RULE = KIND.rule();
  private static final boolean ANCHORED = KIND.anchored();
  private static final boolean AMSGRAD = KIND.amsgrad();
  private static final int LANES = BlockTable.LANES;

  private static Kind kind() {
    try {
      return MethodHandles.classData(MethodHandles.lookup(), "_", Kind.class);
    } catch (IllegalAccessException e) {
      throw new AssertionError("a class may read its own data", e);
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

  @Override
  public void update(
      BlockTable table, long block, TensorArrays a, Scalars k, int bound, MemorySegment lanes) {
    final MemorySegment param = a.param();
    final MemorySegment grad = a.grad();
    final MemorySegment anchors = a.anchor();
    final MemorySegment expAvg = a.expAvg();
    final MemorySegment expAvgSq = a.expAvgSq();
    final MemorySegment max = a.maxExpAvgSq();
    final FloatVector origin = FloatVector.zero(S);
    FloatVector dot0 = origin;
    FloatVector dot1 = origin;
    FloatVector dot2 = origin;
    FloatVector dot3 = origin;
    FloatVector devSq0 = origin;
    FloatVector devSq1 = origin;
    FloatVector devSq2 = origin;
    FloatVector devSq3 = origin;
    FloatVector newDevSq0 = origin;
    FloatVector newDevSq1 = origin;
    FloatVector newDevSq2 = origin;
    FloatVector newDevSq3 = origin;
    final long from = table.begin(block) * Float.BYTES;
    for (int i = 0; i < bound; i += WIDTH) {
      final long at = from + (long) i * Float.BYTES;
      final FloatVector theta = load(param, at);
      final FloatVector anchor = ANCHORED ? load(anchors, at) : origin;
      final FloatVector dev = ANCHORED ? theta.sub(anchor) : theta;
      FloatVector g = load(grad, at).mul(k.gradScale);
      if (RULE == Rule.L2SP_COUPLED) {
        g = g.add(dev.mul(k.decay));
      }
      final FloatVector m = expAvg(expAvg, at, g, k);
      final FloatVector v = expAvgSq(expAvgSq, at, g, k);
      final FloatVector s = AMSGRAD ? maxExpAvgSq(max, at, v) : v;
      final FloatVector d = s.lanewise(VectorOperators.SQRT).mul(k.invSqrtBias2).add(k.eps);
      final FloatVector u = m.mul(k.stepSize).div(d);
      final FloatVector updated;
      if (RULE == Rule.ADAMW) {
        updated = theta.mul(k.decay).sub(u);
      } else if (RULE == Rule.L2SP) {
        updated = theta.sub(dev.mul(k.decay)).sub(u);
      } else {
        updated = theta.sub(u);
      }
      updated.intoMemorySegment(param, at, ORDER);
      if (RULE == Rule.SPD) { // no methods from here on: in one so big the JIT inlines none
        final FloatVector newDev = ANCHORED ? updated.sub(anchor) : updated;
        if (IN_REGISTERS) {
          final FloatVector dot = dot0.add(g.mul(dev));
          dot0 = dot1;
          dot1 = dot2;
          dot2 = dot3;
          dot3 = dot;
          final FloatVector devSq = devSq0.add(dev.mul(dev));
          devSq0 = devSq1;
          devSq1 = devSq2;
          devSq2 = devSq3;
          devSq3 = devSq;
          final FloatVector newDevSq = newDevSq0.add(newDev.mul(newDev));
          newDevSq0 = newDevSq1;
          newDevSq1 = newDevSq2;
          newDevSq2 = newDevSq3;
          newDevSq3 = newDevSq;
        } else {
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
    }
    if (RULE == Rule.SPD && IN_REGISTERS) {
      final long lane0 = (long) (bound & (LANES - 1)) * Float.BYTES;
      dot0.intoMemorySegment(lanes, lane0, ORDER);
      devSq0.intoMemorySegment(lanes, lane0 + SET, ORDER);
      newDevSq0.intoMemorySegment(lanes, lane0 + 2 * SET, ORDER);
      final long lane1 = (long) ((bound + WIDTH) & (LANES - 1)) * Float.BYTES;
      dot1.intoMemorySegment(lanes, lane1, ORDER);
      devSq1.intoMemorySegment(lanes, lane1 + SET, ORDER);
      newDevSq1.intoMemorySegment(lanes, lane1 + 2 * SET, ORDER);
      final long lane2 = (long) ((bound + 2 * WIDTH) & (LANES - 1)) * Float.BYTES;
      dot2.intoMemorySegment(lanes, lane2, ORDER);
      devSq2.intoMemorySegment(lanes, lane2 + SET, ORDER);
      newDevSq2.intoMemorySegment(lanes, lane2 + 2 * SET, ORDER);
      final long lane3 = (long) ((bound + 3 * WIDTH) & (LANES - 1)) * Float.BYTES;
      dot3.intoMemorySegment(lanes, lane3, ORDER);
      devSq3.intoMemorySegment(lanes, lane3 + SET, ORDER);
      newDevSq3.intoMemorySegment(lanes, lane3 + 2 * SET, ORDER);
    }
  }

  @Override
  public void project(BlockTable table, long block, TensorArrays a, float shrink, int bound) {
    final MemorySegment param = a.param();
    final MemorySegment anchors = a.anchor();
    final long from = table.begin(block) * Float.BYTES;
    for (int i = 0; i < bound; i += WIDTH) {
      final long at = from + (long) i * Float.BYTES;
      final FloatVector theta = load(param, at);
      final FloatVector dev = ANCHORED ? theta.sub(load(anchors, at)) : theta;
      theta.sub(dev.mul(shrink)).intoMemorySegment(param, at, ORDER);
    }
  }
}
