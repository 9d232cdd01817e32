package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** Adds up SPD's sums over the blocks, decides, and keeps what it decided for each tensor. */
final class SpdDecisions {
  private static final int LANES = BlockTable.TENSOR_LANES;

  private final long[] step;
  private final double[] gradDot;
  private final double[] devSq;
  private final double[] newDevSq;
  private final float[] shrink;
  private final long[] checked;
  private final long[] selected;
  private final double[] ratioSum;
  private final double[] lanes = new double[LANES];

  SpdDecisions(int tensors) {
    step = new long[tensors];
    gradDot = new double[tensors];
    devSq = new double[tensors];
    newDevSq = new double[tensors];
    shrink = new float[tensors];
    checked = new long[tensors];
    selected = new long[tensors];
    ratioSum = new double[tensors];
  }

  /** Decides on the tensors [first, end) that are stepped with SPD; true if any is projected. */
  boolean decide(BlockTable table, int first, int end) {
    boolean any = false;
    for (int t = first; t < end; t++) {
      int row = table.scalarsOf(t);
      if (row < 0) {
        continue;
      }
      Scalars scalars = table.scalars(row);
      if (scalars.rule != Rule.SPD) {
        table.shrink(t, 0); // its rule may have been SPD before
        continue;
      }
      step[t] = scalars.step;
      gradDot[t] = sum(table, t, TableLayout.GRAD_DOT);
      devSq[t] = sum(table, t, TableLayout.DEV_SQ);
      newDevSq[t] = sum(table, t, TableLayout.NEW_DEV_SQ);
      shrink[t] = 0;
      checked[t]++;
      if (SpdDecision.condition(gradDot[t]) < 0) {
        double ratio = SpdDecision.ratio(devSq[t], newDevSq[t]);
        shrink[t] = SpdDecision.shrink(scalars.lambda, ratio);
        selected[t]++;
        ratioSum[t] += ratio;
      }
      table.shrink(t, shrink[t]);
      any |= shrink[t] > 0;
    }
    return any;
  }

  /** The sum over a tensor's blocks of the field at an offset of {@code spd4j_sums}. */
  double sum(BlockTable table, int tensor, long field) {
    long first = table.firstBlock(tensor);
    return sum(table.sums(), first, table.firstBlock(tensor + 1) - first, field);
  }

  /**
   * The sum over a tensor's blocks: block b goes to lane b mod 32, each lane adds in index order,
   * and the lanes meet in halves.
   *
   * @param rows {@code spd4j_sums} rows, of one tensor or of its shards one after the other
   * @param field the offset of the sum in a row
   */
  double sum(MemorySegment rows, long first, long blocks, long field) {
    long row = TableLayout.SUMS.byteSize();
    if (blocks == 1) {
      return rows.get(JAVA_DOUBLE, first * row + field);
    }
    for (long b = 0; b < blocks; b++) {
      lanes[(int) (b % LANES)] += rows.get(JAVA_DOUBLE, (first + b) * row + field);
    }
    for (int width = LANES / 2; width > 0; width /= 2) {
      for (int lane = 0; lane < width; lane++) {
        lanes[lane] += lanes[lane + width];
      }
    }
    double sum = lanes[0];
    Arrays.fill(lanes, 0);
    return sum;
  }

  /** What was decided in the last step of a tensor with SPD, null before its first. */
  SpdDecision of(int tensor) {
    return checked[tensor] == 0
        ? null
        : new SpdDecision(
            step[tensor],
            gradDot[tensor],
            devSq[tensor],
            newDevSq[tensor],
            shrink[tensor],
            checked[tensor],
            selected[tensor],
            ratioSum[tensor]);
  }
}
