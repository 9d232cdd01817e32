package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;

/** The kernels of the Java backends: from a run of blocks to the elements of one. */
abstract class JavaKernels implements Kernels {
  /** Blocks that are projected forwards before those in front of them, as in the C kernels. */
  private static final int STRETCH = 32;

  @Override
  public final void update(BlockTable table, long begin, long end) {
    MemorySegment lanes = Lanes.ofThread();
    for (long block = begin; block < end; block++) {
      int tensor = table.tensorOf(block);
      int row = table.scalarsOf(tensor);
      if (row >= 0) {
        Scalars k = table.scalars(row);
        update(table, block, table.arrays(tensor), k, lanes);
        if (k.rule == Rule.SPD
            && table.decisions() != null
            && table.firstBlock(tensor) >= begin
            && table.firstBlock(tensor + 1) == block + 1) {
          complete(table, tensor); // it may use the lanes: they are 0 between two blocks
        }
      }
    }
  }

  /** Decides on a tensor, and projects it if it is selected. */
  private void complete(BlockTable table, int tensor) {
    float shrink = table.decisions().decide(tensor);
    if (shrink > 0) {
      long first = table.firstBlock(tensor);
      for (long stop = table.firstBlock(tensor + 1); stop > first; stop -= STRETCH) {
        for (long block = Math.max(first, stop - STRETCH); block < stop; block++) {
          project(table, block, table.arrays(tensor), shrink);
        }
      }
    }
  }

  @Override
  public final void project(BlockTable table, long begin, long end) {
    for (long stop = end; stop > begin; stop -= STRETCH) {
      for (long block = Math.max(begin, stop - STRETCH); block < stop; block++) {
        int tensor = table.tensorOf(block);
        float shrink = table.shrink(tensor);
        if (table.scalarsOf(tensor) >= 0 && shrink > 0) {
          project(table, block, table.arrays(tensor), shrink);
        }
      }
    }
  }

  @Override
  public final void gradSq(BlockTable table, long begin, long end) {
    MemorySegment lanes = Lanes.ofThread();
    for (long block = begin; block < end; block++) {
      int tensor = table.tensorOf(block);
      if (table.scalarsOf(tensor) >= 0) {
        gradSq(table, block, table.arrays(tensor).grad(), lanes);
      }
    }
  }

  /**
   * Updates a block; with SPD also its sums.
   *
   * @param lanes for the sums: 0, and 0 again afterwards
   */
  abstract void update(
      BlockTable table, long block, TensorArrays a, Scalars k, MemorySegment lanes);

  /** Projects a block. */
  abstract void project(BlockTable table, long block, TensorArrays a, float shrink);

  /**
   * The sum of a block's squared gradients, into the table.
   *
   * @param lanes for the sum: 0, and 0 again afterwards
   */
  abstract void gradSq(BlockTable table, long block, MemorySegment grad, MemorySegment lanes);
}
