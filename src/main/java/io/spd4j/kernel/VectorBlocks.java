package io.spd4j.kernel;

import static io.spd4j.kernel.VectorMemory.BYTES;
import static io.spd4j.kernel.VectorMemory.D;
import static io.spd4j.kernel.VectorMemory.IN_REGISTERS;
import static io.spd4j.kernel.VectorMemory.MEMORY;
import static io.spd4j.kernel.VectorMemory.ORDER;
import static io.spd4j.kernel.VectorMemory.S;
import static io.spd4j.kernel.VectorMemory.SET;
import static io.spd4j.kernel.VectorMemory.WIDTH;
import static io.spd4j.kernel.VectorMemory.load;
import static io.spd4j.kernel.VectorMemory.loadDoubles;
import static io.spd4j.kernel.VectorMemory.store;

import io.spd4j.ElementType;
import io.spd4j.MomentType;
import io.spd4j.kernel.RandomWords.Use;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;

/**
 * The Vector API's kernels for single blocks. Plain Java handles the elements after the last whole
 * vector. The caller keeps the arrays' arenas open.
 */
final class VectorBlocks extends JavaKernels {
  private static final int LANES = BlockTable.LANES;

  /** Read when the class is initialized, so that this cannot fail within a step. */
  private static final byte[] TEMPLATE = VectorLoops.template();

  /** Bits of {@link VectorLoops.Kind} besides the types. */
  private static final int KIND_BITS =
      Integer.SIZE - Integer.numberOfLeadingZeros((Rule.values().length << 3) - 1);

  private static final VectorLoops[] LOOPS = new VectorLoops[1 << 6 + KIND_BITS];

  /** Compiled alone, as {@link VectorLoops} are: C2 would not inline all of it into an update. */
  private static final MethodHandle[] SUMS = {
    VectorArrays.loop(MethodHandles.lookup(), "sums", Workspace.class, long.class, boolean.class)
  };

  private static final VectorShuffle<Float> BY_8 = by(8);
  private static final VectorShuffle<Float> BY_4 = by(4);
  private static final VectorShuffle<Float> BY_2 = by(2);
  private static final VectorShuffle<Float> BY_1 = by(1);

  @Override
  public String name() {
    return "vector";
  }

  @Override
  public String detail() {
    return S.vectorBitSize() + " bits";
  }

  @Override
  void update(SteppedTensor t, long begin, int n, Scalars k, Workspace w) {
    boolean float32 = t.isFloat32();
    int done = float32 ? S.loopBound(n) : n & -LANES;
    long lanes = w.offHeap.address();
    boolean decides = k.rule.decides();
    boolean inRegisters = decides && IN_REGISTERS && done == n;
    if (done > 0) {
      VectorArrays arrays = w.arrays();
      if (float32) {
        arrays.ofFloat32(t, begin);
        loops(k.rule, t, 0, inRegisters).update(arrays, k, done, lanes);
      } else {
        arrays.ofUpdate(t, begin, done);
        loops(k.rule, t, types(t), inRegisters).update(arrays, k, done, lanes);
        arrays.roundParam(t, begin, done, k.step, Use.UPDATE);
        arrays.roundMoments(t, begin, done, k.step);
      }
    }
    if (!decides) {
      if (done < n) {
        ScalarKernels.update(t, begin, done, n, k, w);
      }
      return;
    }
    if (done < n) {
      load(lanes, w.lanes.dot);
      load(lanes + SET, w.lanes.devSq);
      load(lanes + 2 * SET, w.lanes.newDevSq);
      ScalarKernels.update(t, begin, done, n, k, w);
      store(w.lanes.dot, lanes);
      store(w.lanes.devSq, lanes + SET);
      store(w.lanes.newDevSq, lanes + 2 * SET);
    }
    try {
      SUMS[0].invokeExact(w, lanes, inRegisters);
    } catch (Throwable e) {
      throw VectorLoops.unchecked(e);
    }
  }

  /** Leaves SPD's sums in the workspace and clears the lanes. */
  private static void sums(Workspace w, long lanes, boolean added) {
    w.gradDot = sum(lanes, added);
    w.devSq = sum(lanes + SET, added);
    w.newDevSq = sum(lanes + 2 * SET, added);
    clear(lanes);
  }

  /** Returns a number for the types that the loops see; 0 if all are float32. */
  private static int types(SteppedTensor t) {
    Types types = t.types();
    return (t.low() == null ? bfloat16(types.param()) : 2)
        | bfloat16(types.grad()) << 2
        | (t.anchor() == null ? 0 : bfloat16(types.anchor())) << 3
        | types.moments().ordinal() << 4;
  }

  /** Returns 0 for float16: {@link VectorArrays} converts it to float32. */
  private static int bfloat16(ElementType type) {
    return type == ElementType.BFLOAT16 ? 1 : 0;
  }

  /** Returns the loops of a kind of step. */
  private static VectorLoops loops(Rule rule, SteppedTensor t, int types, boolean inRegisters) {
    int kind =
        rule.ordinal() << 3
            | (t.anchor() == null ? 0 : 4)
            | (t.maxExpAvgSq() == null ? 0 : 2)
            | (inRegisters ? 1 : 0);
    VectorLoops loops = LOOPS[types << KIND_BITS | kind];
    return loops != null ? loops : loaded(types, kind);
  }

  /** Loads the loops of a kind of step. If two threads do so at once, either result will do. */
  private static VectorLoops loaded(int types, int kind) {
    boolean split = (types & 2) != 0;
    return LOOPS[types << KIND_BITS | kind] =
        VectorLoops.of(
            new VectorLoops.Kind(
                Rule.values()[kind >> 3],
                new Types(
                    type((types & 3) != 0),
                    type((types & 4) != 0),
                    type((types & 8) != 0),
                    MomentType.values()[types >> 4]),
                split,
                (kind & 4) != 0,
                (kind & 2) != 0,
                (kind & 1) != 0),
            TEMPLATE);
  }

  private static ElementType type(boolean bfloat16) {
    return bfloat16 ? ElementType.BFLOAT16 : ElementType.FLOAT32;
  }

  /** Returns the sum of a set of lanes; added tells whether its four vectors are added up. */
  private static double sum(long lanes, boolean added) {
    for (int width = LANES / 2; !added && width >= WIDTH; width /= 2) {
      for (int lane = 0; lane < width; lane += WIDTH) {
        final long at = lanes + (long) lane * Float.BYTES;
        store(load(at).add(load(at + (long) width * Float.BYTES)), at);
      }
    }
    FloatVector sum = load(lanes);
    if (WIDTH > 8) {
      sum = sum.add(sum.rearrange(BY_8));
    }
    if (WIDTH > 4) {
      sum = sum.add(sum.rearrange(BY_4));
    }
    sum = sum.add(sum.rearrange(BY_2));
    return sum.add(sum.rearrange(BY_1)).lane(0);
  }

  /** Returns the shuffle that moves lane l + width to lane l; wrapped lanes do not matter. */
  private static VectorShuffle<Float> by(int width) {
    return VectorShuffle.fromOp(S, lane -> (lane + width) % WIDTH);
  }

  private static void clear(long lanes) {
    for (long at = 0; at < Lanes.BYTES; at += BYTES) {
      store(FloatVector.zero(S), lanes + at);
    }
  }

  @Override
  void project(SteppedTensor t, long begin, int n, Scalars k, float shrink, Workspace w) {
    boolean float32 = t.isFloat32();
    int done = float32 ? S.loopBound(n) : n & -LANES;
    if (done > 0) {
      // A projection has no lanes, so either kind will do.
      VectorArrays arrays = w.arrays();
      if (float32) {
        arrays.ofFloat32(t, begin);
        loops(Rule.SPD, t, 0, IN_REGISTERS).project(arrays, shrink, done);
      } else {
        arrays.ofProjection(t, begin, done);
        loops(Rule.SPD, t, types(t), IN_REGISTERS).project(arrays, shrink, done);
        arrays.roundParam(t, begin, done, k.step, Use.PROJECT);
      }
    }
    if (done < n) {
      ScalarKernels.project(t, begin, done, n, k, shrink, w);
    }
  }

  @Override
  void gradSq(SteppedTensor t, long begin, int n, Workspace w) {
    int done = t.types().grad() == ElementType.FLOAT32 ? S.loopBound(n) : n & -LANES;
    long lanes = w.offHeap.address();
    if (done > 0) {
      gradSq(w.arrays().gradient(t, begin, done), done, lanes);
      load(lanes, w.lanes.gradSq);
      clear(lanes);
    }
    if (done < n) {
      ScalarKernels.gradSq(t, begin, done, n, w);
    }
    w.gradSq = Lanes.fold(w.lanes.gradSq);
  }

  private static void gradSq(long grad, int n, long lanes) {
    DoubleVector low0 = DoubleVector.zero(D);
    DoubleVector low1 = low0;
    DoubleVector low2 = low0;
    DoubleVector low3 = low0;
    DoubleVector high0 = low0;
    DoubleVector high1 = low0;
    DoubleVector high2 = low0;
    DoubleVector high3 = low0;
    for (int i = 0; i < n; i += WIDTH) {
      final FloatVector g = load(grad + (long) i * Float.BYTES);
      final DoubleVector low = (DoubleVector) g.convertShape(VectorOperators.F2D, D, 0);
      final DoubleVector high = (DoubleVector) g.convertShape(VectorOperators.F2D, D, 1);
      if (IN_REGISTERS) {
        final DoubleVector lowSum = low0.add(low.mul(low));
        low0 = low1;
        low1 = low2;
        low2 = low3;
        low3 = lowSum;
        final DoubleVector highSum = high0.add(high.mul(high));
        high0 = high1;
        high1 = high2;
        high2 = high3;
        high3 = highSum;
      } else {
        final long lane = lanes + laneBytes(i);
        store(loadDoubles(lane).add(low.mul(low)), lane);
        store(loadDoubles(lane + BYTES).add(high.mul(high)), lane + BYTES);
      }
    }
    if (IN_REGISTERS) { // calls no methods of ours with vectors: C2 may not inline them here
      final long at0 = lanes + laneBytes(n);
      final long at1 = lanes + laneBytes(n + WIDTH);
      final long at2 = lanes + laneBytes(n + 2 * WIDTH);
      final long at3 = lanes + laneBytes(n + 3 * WIDTH);
      low0.intoMemorySegment(MEMORY, at0, ORDER);
      high0.intoMemorySegment(MEMORY, at0 + BYTES, ORDER);
      low1.intoMemorySegment(MEMORY, at1, ORDER);
      high1.intoMemorySegment(MEMORY, at1 + BYTES, ORDER);
      low2.intoMemorySegment(MEMORY, at2, ORDER);
      high2.intoMemorySegment(MEMORY, at2 + BYTES, ORDER);
      low3.intoMemorySegment(MEMORY, at3, ORDER);
      high3.intoMemorySegment(MEMORY, at3 + BYTES, ORDER);
    }
  }

  @Override
  public void interpolate(Interpolands arrays) {
    VectorInterpolation.run(arrays);
  }

  private static long laneBytes(int i) {
    return (long) (i & (LANES - 1)) * Double.BYTES;
  }
}
