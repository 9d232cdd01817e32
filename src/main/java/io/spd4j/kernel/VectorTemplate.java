package io.spd4j.kernel;

import static io.spd4j.kernel.VectorMemory.BYTES;
import static io.spd4j.kernel.VectorMemory.MEMORY;
import static io.spd4j.kernel.VectorMemory.ORDER;
import static io.spd4j.kernel.VectorMemory.S;
import static io.spd4j.kernel.VectorMemory.SET;
import static io.spd4j.kernel.VectorMemory.WIDTH;
import static io.spd4j.kernel.VectorMemory.load;
import static io.spd4j.kernel.VectorMemory.store;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LT;

import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/**
 * The loops of every kind of step; each {@link VectorLoops} is another copy of this code. Its
 * methods are small, because the JIT inlines no others, and a vector that crosses a call goes to
 * the heap.
 *
 * <p>If four vectors hold all lanes of a sum, the loop keeps them in registers. The vector to add
 * to is always the first: each iteration rotates the four by one. The lanes stay in memory if
 * vectors are narrower, as too many registers would be needed, and if elements follow the last
 * whole vector, as those need their lanes. (Twelve stores after the loop were more than C2
 * inlines.)
 */
final class VectorTemplate {
  private static final VectorLoops.Kind KIND = kind();
  private static final Rule RULE = KIND.rule();
  private static final boolean DECIDES = RULE.decides();
  private static final boolean ANCHORED = KIND.anchored();
  private static final boolean AMSGRAD = KIND.amsgrad();
  private static final boolean CARRIED = KIND.lanes() == VectorLoops.SumLanes.CARRIED;
  private static final boolean IN_REGISTERS = KIND.lanes() != VectorLoops.SumLanes.MEMORY;
  private static final int LANES = BlockTable.LANES;

  private VectorTemplate() {}

  private static VectorLoops.Kind kind() {
    try {
      return MethodHandles.classData(MethodHandles.lookup(), "_", VectorLoops.Kind.class);
    } catch (IllegalAccessException e) {
      throw new AssertionError("a class cannot read its own data", e);
    }
  }

  /** Updates, stores and returns the first moment. */
  private static FloatVector expAvg(long address, FloatVector g, Scalars k) {
    FloatVector m = load(address).mul(k.beta1).add(g.mul(k.oneMinusBeta1));
    store(m, address);
    return m;
  }

  /** Updates, stores and returns the second moment. */
  private static FloatVector expAvgSq(long address, FloatVector g, Scalars k) {
    FloatVector v = load(address).mul(k.beta2).add(g.mul(k.oneMinusBeta2).mul(g));
    store(v, address);
    return v;
  }

  /** Updates, stores and returns AMSGrad's maximum. */
  private static FloatVector maxExpAvgSq(long address, FloatVector v) {
    FloatVector max = load(address);
    FloatVector s =
        max.blend(v, v.compare(VectorOperators.GT, max).or(v.test(VectorOperators.IS_NAN)));
    store(s, address);
    return s;
  }

  /** See {@link VectorLoops#update}. */
  static void update(
      long param,
      long grad,
      long anchors,
      long expAvg,
      long expAvgSq,
      long max,
      Scalars k,
      int n,
      long lanes) {
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
    if (CARRIED) {
      for (long at = lanes; at < lanes + SET; at += BYTES) {
        dot0 = dot1;
        dot1 = dot2;
        dot2 = dot3;
        dot3 = FloatVector.fromMemorySegment(S, MEMORY, at, ORDER);
        devSq0 = devSq1;
        devSq1 = devSq2;
        devSq2 = devSq3;
        devSq3 = FloatVector.fromMemorySegment(S, MEMORY, at + SET, ORDER);
        newDevSq0 = newDevSq1;
        newDevSq1 = newDevSq2;
        newDevSq2 = newDevSq3;
        newDevSq3 = FloatVector.fromMemorySegment(S, MEMORY, at + 2 * SET, ORDER);
      }
    }
    for (int i = 0; i < n; i += WIDTH) {
      final long at = (long) i * Float.BYTES;
      final FloatVector theta = load(param + at);
      final FloatVector anchor = ANCHORED ? load(anchors + at) : origin;
      final FloatVector dev = ANCHORED ? theta.sub(anchor) : theta;
      FloatVector g = load(grad + at).mul(k.gradScale);
      if (RULE == Rule.L2SP_COUPLED) {
        g = g.add(dev.mul(k.decay));
      }
      final FloatVector m = expAvg(expAvg + at, g, k);
      final FloatVector v = expAvgSq(expAvgSq + at, g, k);
      final FloatVector s = AMSGRAD ? maxExpAvgSq(max + at, v) : v;
      final FloatVector d = s.lanewise(VectorOperators.SQRT).mul(k.invSqrtBias2).add(k.eps);
      final FloatVector u = m.mul(k.stepSize).div(d);
      final FloatVector updated;
      if (RULE == Rule.ADAMW) {
        updated = theta.mul(k.decay).sub(u);
      } else if (RULE == Rule.L2SP) {
        updated = theta.sub(dev.mul(k.decay)).sub(u);
      } else if (RULE == Rule.CAUTIOUS) {
        final VectorMask<Float> up = u.compare(GT, 0).and(dev.compare(LT, 0));
        final VectorMask<Float> down = u.compare(LT, 0).and(dev.compare(GT, 0));
        updated = theta.sub(dev.mul(k.decay).blend(origin, up.or(down))).sub(u);
      } else {
        updated = theta.sub(u);
      }
      store(updated, param + at);
      if (DECIDES) { // calls no methods of ours: C2 inlines none into so big a method
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
          final long lane = lanes + (long) (i & (LANES - 1)) * Float.BYTES;
          FloatVector.fromMemorySegment(S, MEMORY, lane, ORDER)
              .add(g.mul(dev))
              .intoMemorySegment(MEMORY, lane, ORDER);
          FloatVector.fromMemorySegment(S, MEMORY, lane + SET, ORDER)
              .add(dev.mul(dev))
              .intoMemorySegment(MEMORY, lane + SET, ORDER);
          FloatVector.fromMemorySegment(S, MEMORY, lane + 2 * SET, ORDER)
              .add(newDev.mul(newDev))
              .intoMemorySegment(MEMORY, lane + 2 * SET, ORDER);
        }
      }
    }
    if (CARRIED) {
      for (long at = lanes; at < lanes + SET; at += BYTES) {
        dot0.intoMemorySegment(MEMORY, at, ORDER);
        devSq0.intoMemorySegment(MEMORY, at + SET, ORDER);
        newDevSq0.intoMemorySegment(MEMORY, at + 2 * SET, ORDER);
        dot0 = dot1;
        dot1 = dot2;
        dot2 = dot3;
        devSq0 = devSq1;
        devSq1 = devSq2;
        devSq2 = devSq3;
        newDevSq0 = newDevSq1;
        newDevSq1 = newDevSq2;
        newDevSq2 = newDevSq3;
      }
    } else if (DECIDES && IN_REGISTERS) {
      // The order of the additions is the same whichever vector comes first.
      final FloatVector dot = dot0.add(dot2).add(dot1.add(dot3));
      final FloatVector devSq = devSq0.add(devSq2).add(devSq1.add(devSq3));
      final FloatVector newDevSq = newDevSq0.add(newDevSq2).add(newDevSq1.add(newDevSq3));
      dot.intoMemorySegment(MEMORY, lanes, ORDER);
      devSq.intoMemorySegment(MEMORY, lanes + SET, ORDER);
      newDevSq.intoMemorySegment(MEMORY, lanes + 2 * SET, ORDER);
    }
  }

  /** See {@link VectorLoops#project}. */
  static void project(long param, long anchors, float shrink, int n) {
    for (int i = 0; i < n; i += WIDTH) {
      final long at = (long) i * Float.BYTES;
      final FloatVector theta = load(param + at);
      final FloatVector dev = ANCHORED ? theta.sub(load(anchors + at)) : theta;
      store(theta.sub(dev.mul(shrink)), param + at);
    }
  }
}
