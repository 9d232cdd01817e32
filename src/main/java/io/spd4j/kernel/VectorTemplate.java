package io.spd4j.kernel;

import static io.spd4j.kernel.VectorMemory.HALF;
import static io.spd4j.kernel.VectorMemory.MEMORY;
import static io.spd4j.kernel.VectorMemory.ORDER;
import static io.spd4j.kernel.VectorMemory.S;
import static io.spd4j.kernel.VectorMemory.SET;
import static io.spd4j.kernel.VectorMemory.WIDTH;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.LT;

import io.spd4j.ElementType;
import io.spd4j.MomentType;
import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
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
  private static final boolean IN_REGISTERS = KIND.inRegisters();
  private static final ElementType PARAM = KIND.types().param();
  private static final boolean BFLOAT16_GRAD = KIND.types().grad() == ElementType.BFLOAT16;
  private static final boolean BFLOAT16_ANCHOR = KIND.types().anchor() == ElementType.BFLOAT16;
  private static final MomentType MOMENTS = KIND.types().moments();
  private static final boolean BFLOAT16_MOMENTS = MOMENTS == MomentType.BFLOAT16;
  private static final boolean SPLIT = KIND.split();
  private static final int LANES = BlockTable.LANES;

  private VectorTemplate() {}

  private static VectorLoops.Kind kind() {
    try {
      return MethodHandles.classData(MethodHandles.lookup(), "_", VectorLoops.Kind.class);
    } catch (IllegalAccessException e) {
      throw new AssertionError("a class cannot read its own data", e);
    }
  }

  /** Returns a vector of elements from element i on as float32. */
  private static FloatVector load(boolean bfloat16, long array, int i) {
    return bfloat16 ? VectorCodec.bfloat16(array + 2L * i) : VectorMemory.load(array + 4L * i);
  }

  private static FloatVector loadParam(long param, long low, int i) {
    return SPLIT
        ? VectorCodec.split(param + 2L * i, low + 2L * i)
        : load(PARAM == ElementType.BFLOAT16, param, i);
  }

  private static FloatVector loadExpAvg(long expAvg, long scales, int i) {
    return MOMENTS == MomentType.BLOCKWISE_8BIT
        ? VectorCodec.first(expAvg, scales, i)
        : load(BFLOAT16_MOMENTS, expAvg, i);
  }

  private static FloatVector loadExpAvgSq(long expAvgSq, long scales, int i) {
    return MOMENTS == MomentType.BLOCKWISE_8BIT
        ? VectorCodec.second(expAvgSq, scales, i)
        : load(BFLOAT16_MOMENTS, expAvgSq, i);
  }

  /** See {@link VectorLoops#update}. */
  static void update(VectorArrays a, Scalars k, int n, long lanes) {
    final long param = a.param;
    final long low = SPLIT ? a.low : 0;
    final long newParam = PARAM == ElementType.FLOAT32 || SPLIT ? param : a.newParam;
    final long grad = a.grad;
    final long anchors = a.anchor;
    final long expAvg = a.expAvg;
    final long expAvgSq = a.expAvgSq;
    final long max = a.maxExpAvgSq;
    final boolean same = MOMENTS == MomentType.FLOAT32;
    final long newExpAvg = same ? expAvg : a.newExpAvg;
    final long newExpAvgSq = same ? expAvgSq : a.newExpAvgSq;
    final long newMax = same ? max : a.newMaxExpAvgSq;
    final long scales = a.expAvgScales;
    final long scalesSq = a.expAvgSqScales;
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
    for (int i = 0; i < n; i += WIDTH) {
      final long at = (long) i * Float.BYTES;
      final FloatVector theta = loadParam(param, low, i);
      final FloatVector anchor = ANCHORED ? load(BFLOAT16_ANCHOR, anchors, i) : origin;
      final FloatVector stored = load(BFLOAT16_GRAD, grad, i);
      final FloatVector m0 = loadExpAvg(expAvg, scales, i);
      final FloatVector v0 = loadExpAvgSq(expAvgSq, scalesSq, i);
      final FloatVector dev = ANCHORED ? theta.sub(anchor) : theta;
      FloatVector g = stored.mul(k.gradScale);
      if (RULE == Rule.L2SP_COUPLED) {
        g = g.add(dev.mul(k.decay));
      }
      final FloatVector m = m0.mul(k.beta1).add(g.mul(k.oneMinusBeta1));
      m.intoMemorySegment(MEMORY, newExpAvg + at, ORDER);
      final FloatVector v = v0.mul(k.beta2).add(g.mul(k.oneMinusBeta2).mul(g));
      v.intoMemorySegment(MEMORY, newExpAvgSq + at, ORDER);
      FloatVector s = v;
      if (AMSGRAD) {
        final FloatVector max0 = load(BFLOAT16_MOMENTS, max, i);
        s = max0.blend(v, v.compare(GT, max0).or(v.test(VectorOperators.IS_NAN)));
        s.intoMemorySegment(MEMORY, newMax + at, ORDER);
      }
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
      if (SPLIT) {
        final IntVector bits = updated.reinterpretAsInts();
        bits.add(0x8000)
            .lanewise(VectorOperators.LSHR, 16)
            .convertShape(VectorOperators.I2S, HALF, 0)
            .intoMemorySegment(MEMORY, param + 2L * i, ORDER);
        bits.convertShape(VectorOperators.I2S, HALF, 0)
            .intoMemorySegment(MEMORY, low + 2L * i, ORDER);
      } else {
        updated.intoMemorySegment(MEMORY, newParam + at, ORDER);
      }
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
    if (DECIDES && IN_REGISTERS) {
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
  static void project(VectorArrays a, float shrink, int n) {
    final long param = a.param;
    final long low = SPLIT ? a.low : 0;
    final long newParam = PARAM == ElementType.FLOAT32 ? param : a.newParam;
    final long anchors = a.anchor;
    for (int i = 0; i < n; i += WIDTH) {
      final FloatVector theta = loadParam(param, low, i);
      final FloatVector dev = ANCHORED ? theta.sub(load(BFLOAT16_ANCHOR, anchors, i)) : theta;
      final FloatVector projected = theta.sub(dev.mul(shrink));
      if (SPLIT) {
        VectorCodec.storeSplit(projected, param + 2L * i, low + 2L * i);
      } else {
        VectorMemory.store(projected, newParam + 4L * i);
      }
    }
  }
}
