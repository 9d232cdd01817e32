package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * The sum over a tensor's blocks, in the order of the numerics contract: block b goes to lane b mod
 * {@link BlockTable#TENSOR_LANES}, each lane adds in index order, and then the lanes are folded in
 * halves.
 */
final class TensorSum {
  private static final int LANES = BlockTable.TENSOR_LANES;

  /** Doubles in a row of sums. */
  private static final int ROW = (int) (TableLayout.SUMS.byteSize() / Double.BYTES);

  private static final ThreadLocal<TensorSum> THREADS = ThreadLocal.withInitial(TensorSum::new);

  private final double[] lanes = new double[LANES];
  private final double[] rows = new double[LANES * ROW];

  private TensorSum() {}

  /**
   * Adds up one field of a tensor's blocks.
   *
   * @param sums {@code spd4j_sums} rows of a tensor, or of its shards one after another
   * @param first the row of the first block
   * @param field the offset of the sum in a row
   */
  static double of(MemorySegment sums, long first, long blocks, long field) {
    return blocks == 1
        ? sums.get(JAVA_DOUBLE, first * ROW * Double.BYTES + field)
        : THREADS.get().add(sums, first, blocks, (int) (field / Double.BYTES));
  }

  private double add(MemorySegment sums, long first, long blocks, int field) {
    Arrays.fill(lanes, 0);
    for (long b = 0; b < blocks; b += LANES) {
      int count = (int) Math.min(LANES, blocks - b);
      MemorySegment.copy(sums, JAVA_DOUBLE, (first + b) * ROW * Double.BYTES, rows, 0, count * ROW);
      for (int lane = 0; lane < count; lane++) {
        lanes[lane] += rows[lane * ROW + field];
      }
    }
    return Lanes.fold(lanes);
  }
}
