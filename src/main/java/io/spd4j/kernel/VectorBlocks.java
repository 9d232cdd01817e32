package io.spd4j.kernel;

import static io.spd4j.kernel.VectorMemory.BYTES;
import static io.spd4j.kernel.VectorMemory.D;
import static io.spd4j.kernel.VectorMemory.IN_REGISTERS;
import static io.spd4j.kernel.VectorMemory.S;
import static io.spd4j.kernel.VectorMemory.SET;
import static io.spd4j.kernel.VectorMemory.WIDTH;
import static io.spd4j.kernel.VectorMemory.load;
import static io.spd4j.kernel.VectorMemory.loadDoubles;
import static io.spd4j.kernel.VectorMemory.store;

import io.spd4j.ElementType;
import io.spd4j.kernel.RandomWords.Use;
import io.spd4j.kernel.VectorLoops.SumLanes;
import java.lang.foreign.MemorySegment;
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

  private static final VectorLoops[] LOOPS = new VectorLoops[Rule.values().length << 4];
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
    SumLanes sumLanes = SumLanes.MEMORY;
    if (decides && IN_REGISTERS) {
      sumLanes = !float32 ? SumLanes.CARRIED : done == n ? SumLanes.REGISTERS : SumLanes.MEMORY;
    }
    if (done > 0) {
      VectorLoops loops = loops(k.rule, t, sumLanes);
      if (float32) {
        long from = begin * Float.BYTES;
        loops.update(
            t.param().address() + from,
            t.grad().address() + from,
            address(t.anchor()) + from,
            t.expAvg().address() + from,
            t.expAvgSq().address() + from,
            address(t.maxExpAvgSq()) + from,
            k,
            done,
            lanes);
      } else {
        updateInTiles(loops, t, begin, done, k, lanes, w.vectorTile());
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
    boolean added = sumLanes == SumLanes.REGISTERS;
    w.gradDot = sum(lanes, added);
    w.devSq = sum(lanes + SET, added);
    w.newDevSq = sum(lanes + 2 * SET, added);
    clear(lanes);
  }

  private static void updateInTiles(
      VectorLoops loops, SteppedTensor t, long begin, int n, Scalars k, long lanes, VectorTile a) {
    for (int i = 0; i < n; i += VectorTile.LENGTH) {
      int length = Math.min(VectorTile.LENGTH, n - i);
      a.readParam(t, begin + i, length);
      a.readGrad(t, begin + i, length);
      a.readAnchor(t, begin + i, length);
      a.readMoments(t, begin + i, length);
      loops.update(
          a.param, a.grad, a.anchor, a.expAvg, a.expAvgSq, a.maxExpAvgSq, k, length, lanes);
      a.writeParam(t, begin + i, length, k.step, Use.UPDATE);
      a.writeMoments(t, begin + i, length, k.step);
    }
  }

  private static long address(MemorySegment array) {
    return array == null ? 0 : array.address();
  }

  private static VectorLoops loops(Rule rule, SteppedTensor t, SumLanes sumLanes) {
    int kind =
        rule.ordinal() << 4
            | sumLanes.ordinal() << 2
            | (t.anchor() == null ? 0 : 2)
            | (t.maxExpAvgSq() == null ? 0 : 1);
    VectorLoops loops = LOOPS[kind];
    return loops != null ? loops : loaded(kind);
  }

  /** Loads the loops of a kind of step. If two threads do so at once, either result will do. */
  private static VectorLoops loaded(int kind) {
    return LOOPS[kind] =
        VectorLoops.of(
            new VectorLoops.Kind(
                Rule.values()[kind >> 4],
                (kind & 2) != 0,
                (kind & 1) != 0,
                SumLanes.values()[kind >> 2 & 3]),
            TEMPLATE);
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
      // A projection has no lanes, so any kind will do.
      VectorLoops loops = loops(Rule.SPD, t, IN_REGISTERS ? SumLanes.REGISTERS : SumLanes.MEMORY);
      if (float32) {
        long from = begin * Float.BYTES;
        loops.project(t.param().address() + from, address(t.anchor()) + from, shrink, done);
      } else {
        projectInTiles(loops, t, begin, done, k, shrink, w.vectorTile());
      }
    }
    if (done < n) {
      ScalarKernels.project(t, begin, done, n, k, shrink, w);
    }
  }

  private static void projectInTiles(
      VectorLoops loops,
      SteppedTensor t,
      long begin,
      int n,
      Scalars k,
      float shrink,
      VectorTile a) {
    for (int i = 0; i < n; i += VectorTile.LENGTH) {
      int length = Math.min(VectorTile.LENGTH, n - i);
      a.readParam(t, begin + i, length);
      a.readAnchor(t, begin + i, length);
      loops.project(a.param, a.anchor, shrink, length);
      a.writeParam(t, begin + i, length, k.step, Use.PROJECT);
    }
  }

  @Override
  void gradSq(SteppedTensor t, long begin, int n, Workspace w) {
    int done = t.types().grad() == ElementType.FLOAT32 ? S.loopBound(n) : n & -LANES;
    long lanes = w.offHeap.address();
    if (done > 0) {
      VectorTile tile = w.vectorTile();
      tile.readGrad(t, begin, done);
      gradSq(tile.grad, done, lanes);
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
    if (IN_REGISTERS) {
      storeLanes(lanes, n, low0, high0);
      storeLanes(lanes, n + WIDTH, low1, high1);
      storeLanes(lanes, n + 2 * WIDTH, low2, high2);
      storeLanes(lanes, n + 3 * WIDTH, low3, high3);
    }
  }

  private static long laneBytes(int i) {
    return (long) (i & (LANES - 1)) * Double.BYTES;
  }

  /** Stores the lanes of the elements from i on. */
  private static void storeLanes(long lanes, int i, DoubleVector low, DoubleVector high) {
    store(low, lanes + laneBytes(i));
    store(high, lanes + laneBytes(i) + BYTES);
  }
}
