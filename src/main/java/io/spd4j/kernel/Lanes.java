package io.spd4j.kernel;

import java.util.Arrays;

/**
 * The lanes in which a block is summed up, in the order of the numerics contract: element i of a
 * block goes to lane i mod {@link BlockTable#LANES}; then the lanes are folded in halves: lane l
 * adds lane l + width, for width = LANES/2, …, 2, 1.
 */
final class Lanes {
  private static final int LANES = BlockTable.LANES;

  /** Bytes of the lanes of SPD's three float sums; those of one double sum need fewer. */
  static final long BYTES = 3L * LANES * Float.BYTES;

  final float[] dot = new float[LANES];
  final float[] devSq = new float[LANES];
  final float[] newDevSq = new float[LANES];
  final double[] gradSq = new double[LANES];

  void clear() {
    Arrays.fill(dot, 0);
    Arrays.fill(devSq, 0);
    Arrays.fill(newDevSq, 0);
    Arrays.fill(gradSq, 0);
  }

  /** Returns the sum of float lanes and sets them to 0. */
  static double fold(float[] lanes) {
    for (int width = LANES / 2; width > 0; width /= 2) {
      for (int lane = 0; lane < width; lane++) {
        lanes[lane] += lanes[lane + width];
      }
    }
    double sum = lanes[0];
    Arrays.fill(lanes, 0);
    return sum;
  }

  /** Returns the sum of double lanes, whose number is a power of two, and sets them to 0. */
  static double fold(double[] lanes) {
    for (int width = lanes.length / 2; width > 0; width /= 2) {
      for (int lane = 0; lane < width; lane++) {
        lanes[lane] += lanes[lane + width];
      }
    }
    double sum = lanes[0];
    Arrays.fill(lanes, 0);
    return sum;
  }
}
