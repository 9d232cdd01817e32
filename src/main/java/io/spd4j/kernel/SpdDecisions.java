package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * What SPD decided: c = −Σ g·(θ−θ0) below 0 selects a tensor, r = (γ1−γ0)/γ1 within [0, 1] is how
 * much of its deviation is new. Kept per tensor, with running counts.
 */
public final class SpdDecisions {
  private static final int LANES = BlockTable.TENSOR_LANES;

  private final double[] gradDot;
  private final double[] devSq;
  private final double[] newDevSq;
  private final float[] shrink;
  private final long[] checked;
  private final long[] selected;
  private final double[] ratioSum;
  private final double[] lanes = new double[LANES];

  SpdDecisions(int tensors) {
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
      if (table.scalars(row).rule != Rule.SPD) {
        table.shrink(t, 0); // its rule may have been SPD before
        continue;
      }
      gradDot[t] = sum(table, t, TableLayout.GRAD_DOT);
      devSq[t] = sum(table, t, TableLayout.DEV_SQ);
      newDevSq[t] = sum(table, t, TableLayout.NEW_DEV_SQ);
      shrink[t] = 0;
      checked[t]++;
      if (condition(t) < 0) {
        double ratio = ratio(t);
        shrink[t] = shrink(table.scalars(row).lambda, ratio);
        selected[t]++;
        ratioSum[t] += ratio;
      }
      table.shrink(t, shrink[t]);
      any |= shrink[t] > 0;
    }
    return any;
  }

  /** λ·r, rounded once to float. */
  static float shrink(double lambda, double ratio) {
    return (float) (lambda * ratio);
  }

  /** r, from the squared deviations before the update and after it. */
  static double ratio(double devSq, double newDevSq) {
    double before = Math.sqrt(devSq);
    double updated = Math.sqrt(newDevSq);
    return updated > 0 ? Math.clamp((updated - before) / updated, 0.0, 1.0) : 0;
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

  /** c of the last step. */
  public double condition(int tensor) {
    return -gradDot[tensor];
  }

  /** r of the last step. */
  public double ratio(int tensor) {
    return ratio(devSq[tensor], newDevSq[tensor]);
  }

  /** ‖θ−θ0‖ before the last step. */
  public double deviationBefore(int tensor) {
    return Math.sqrt(devSq[tensor]);
  }

  /** ‖θ'−θ0‖ after the last step: γ1, less the projection. */
  public double deviationAfter(int tensor) {
    return Math.sqrt(newDevSq[tensor]) * Math.abs(1.0 - shrink[tensor]);
  }

  /** Steps in which SPD looked at a tensor. */
  public long checked(int tensor) {
    return checked[tensor];
  }

  /** Steps in which it selected the tensor. */
  public long selected(int tensor) {
    return selected[tensor];
  }

  /** The mean of r over the steps that selected the tensor, 0 without any. */
  public double meanRatio(int tensor) {
    return selected[tensor] == 0 ? 0 : ratioSum[tensor] / selected[tensor];
  }
}
