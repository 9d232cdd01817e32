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
 * -Dspd4j.vector.bits} names (128, 256, 512). What is left behind the last whole vector is plain
 * Java's.
 */
final class VectorKernels extends JavaKernels {
  static final VectorSpecies<Float> S = species();
  private static final VectorSpecies<Double> D = VectorSpecies.of(double.class, S.vectorShape());
  static final int WIDTH = S.length();
  private static final int LANES = BlockTable.LANES;

  /** Whether four vectors hold all lanes of a sum. */
  static final boolean IN_REGISTERS = 4 * WIDTH == LANES;

  /** Bytes of a set of float lanes. */
  static final long SET = (long) LANES * Float.BYTES;

  static final ByteOrder ORDER = ByteOrder.nativeOrder();

  /** Read now: within a step nothing is to fail any more. */
  private static final byte[] TEMPLATE = VectorLoops.template();

  private static final VectorLoops[] LOOPS = new VectorLoops[Rule.values().length << 2];
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
    if (done > 0) {
      loops(k.rule, a).update(table, block, a, k, done, lanes);
    }
    if (done < n) {
      ScalarKernels.update(table, block, a, k, lanes, done);
    }
    if (k.rule == Rule.SPD) {
      table.spdSums(block, fold(lanes, 0), fold(lanes, 1), fold(lanes, 2));
      clear(lanes);
    }
  }

  private static VectorLoops loops(Rule rule, TensorArrays a) {
    int kind =
        rule.ordinal() << 2 | (a.anchor() == null ? 0 : 2) | (a.maxExpAvgSq() == null ? 0 : 1);
    VectorLoops loops = LOOPS[kind];
    return loops != null ? loops : load(kind);
  }

  /** Loads the loops of a kind of step: two threads may, and use either. */
  private static VectorLoops load(int kind) {
    Rule rule = Rule.values()[kind >> 2];
    boolean anchored = (kind & 2) != 0;
    boolean amsgrad = (kind & 1) != 0;
    return LOOPS[kind] = VectorLoops.of(new VectorLoops.Kind(rule, anchored, amsgrad), TEMPLATE);
  }

  /** The sum of a set of lanes: in memory until four vectors are left. */
  private static double fold(MemorySegment lanes, int set) {
    final long from = set * SET;
    for (int width = LANES / 2; width > 2 * WIDTH; width /= 2) {
      for (int lane = 0; lane < width; lane += WIDTH) {
        final long at = from + (long) lane * Float.BYTES;
        load(lanes, at)
            .add(load(lanes, at + (long) width * Float.BYTES))
            .intoMemorySegment(lanes, at, ORDER);
      }
    }
    final long vector = S.vectorByteSize();
    final FloatVector even = load(lanes, from).add(load(lanes, from + 2 * vector));
    final FloatVector odd = load(lanes, from + vector).add(load(lanes, from + 3 * vector));
    FloatVector sum = even.add(odd);
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

  private static FloatVector load(MemorySegment array, long at) {
    return FloatVector.fromMemorySegment(S, array, at, ORDER);
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
    if (done > 0) {
      loops(Rule.SPD, a).project(table, block, a, shrink, done);
    }
    if (done < n) {
      ScalarKernels.project(table, block, a, shrink, done);
    }
  }

  @Override
  void gradSq(BlockTable table, long block, MemorySegment grad, MemorySegment lanes) {
    int n = table.length(block);
    int done = S.loopBound(n);
    if (done > 0) {
      gradSq(table, block, grad, lanes, done);
    }
    if (done < n) {
      ScalarKernels.gradSq(table, block, grad, lanes, done);
    }
    table.gradSq(block, Lanes.fold(lanes));
    clear(lanes);
  }

  private static void gradSq(
      BlockTable table, long block, MemorySegment grad, MemorySegment lanes, int bound) {
    final long from = table.begin(block) * Float.BYTES;
    DoubleVector low0 = DoubleVector.zero(D);
    DoubleVector low1 = low0;
    DoubleVector low2 = low0;
    DoubleVector low3 = low0;
    DoubleVector high0 = low0;
    DoubleVector high1 = low0;
    DoubleVector high2 = low0;
    DoubleVector high3 = low0;
    for (int i = 0; i < bound; i += WIDTH) {
      final FloatVector g = load(grad, from + (long) i * Float.BYTES);
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
        add(lanes, laneBytes(i), low.mul(low));
        add(lanes, laneBytes(i) + D.vectorByteSize(), high.mul(high));
      }
    }
    if (IN_REGISTERS) {
      store(lanes, bound, low0, high0);
      store(lanes, bound + WIDTH, low1, high1);
      store(lanes, bound + 2 * WIDTH, low2, high2);
      store(lanes, bound + 3 * WIDTH, low3, high3);
    }
  }

  private static long laneBytes(int i) {
    return (long) (i & (LANES - 1)) * Double.BYTES;
  }

  private static void add(MemorySegment lanes, long at, DoubleVector x) {
    DoubleVector.fromMemorySegment(D, lanes, at, ORDER).add(x).intoMemorySegment(lanes, at, ORDER);
  }

  /** The lanes of the elements from i on, from registers. */
  private static void store(MemorySegment lanes, int i, DoubleVector low, DoubleVector high) {
    low.intoMemorySegment(lanes, laneBytes(i), ORDER);
    high.intoMemorySegment(lanes, laneBytes(i) + D.vectorByteSize(), ORDER);
  }
}
