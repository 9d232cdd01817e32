package io.spd4j.oracle;

import java.util.Arrays;

/** A sum over the elements of a tensor, which are added in index order. */
interface Sum {
  void add(Bounded x);

  /** Returns the sum. Call it once, at the end. */
  Bounded total();

  /**
   * Float32 lanes over blocks, then float64: the additions of native/NUMERICS.md one by one. Only
   * the order of the float64 additions differs; their roundings are too small to matter.
   */
  final class InBlocks implements Sum {
    private static final int LANES = 64;
    private static final int BLOCK = 4096;

    private final Bounded[] lanes = new Bounded[LANES];
    private Bounded blocks = Bounded.ZERO;
    private int added;

    InBlocks() {
      Arrays.fill(lanes, Bounded.ZERO);
    }

    @Override
    public void add(Bounded x) {
      int lane = added % LANES;
      lanes[lane] = Arithmetic.FLOAT32.add(lanes[lane], x);
      if (++added % BLOCK == 0) {
        endBlock();
      }
    }

    private void endBlock() {
      for (int width = LANES / 2; width > 0; width /= 2) {
        for (int lane = 0; lane < width; lane++) {
          lanes[lane] = Arithmetic.FLOAT32.add(lanes[lane], lanes[lane + width]);
        }
      }
      blocks = Arithmetic.FLOAT64.add(blocks, lanes[0]);
      Arrays.fill(lanes, Bounded.ZERO);
    }

    @Override
    public Bounded total() {
      endBlock();
      return blocks;
    }
  }

  /** Float32 in any order: n elements take n − 1 additions, each with a result of at most Σ|x|. */
  final class InAnyOrder implements Sum {
    private double value;
    private double error;
    private double magnitude;
    private int added;

    @Override
    public void add(Bounded x) {
      value += x.value();
      error += x.error();
      magnitude += x.most();
      added++;
    }

    @Override
    public Bounded total() {
      double roundings = Math.max(0, added - 1) * Arithmetic.TWICE.u() * magnitude;
      return new Bounded(value, error + roundings);
    }
  }
}
