package io.spd4j.kernel;

/** The kernels of the Java backends: from a run of blocks to the elements of one. */
abstract class JavaKernels implements Kernels {
  /** Blocks that are projected forwards before those in front of them, as in the C kernels. */
  private static final int STRETCH = 32;

  @Override
  public final void update(BlockTable table, long begin, long end) {
    Workspace workspace = Workspace.ofThread();
    int tensor = table.tensorOf(begin);
    for (long from = begin; from < end; tensor++) {
      long to = Math.min(end, table.firstBlock(tensor + 1));
      int row = table.scalarsOf(tensor);
      if (row >= 0) {
        Scalars k = table.scalars(row);
        for (long block = from; block < to; block++) {
          update(table, tensor, block, k, workspace);
        }
        if (k.rule == Rule.SPD
            && table.decisions() != null
            && from < to
            && table.firstBlock(tensor) >= begin
            && table.firstBlock(tensor + 1) == to) {
          float shrink = table.decisions().decide(tensor);
          if (shrink > 0) {
            project(table, tensor, table.firstBlock(tensor), to, shrink, workspace);
          }
        }
      }
      from = to;
    }
  }

  @Override
  public final void project(BlockTable table, long begin, long end) {
    Workspace workspace = Workspace.ofThread();
    int tensor = table.tensorOf(end - 1);
    for (long to = end; to > begin; tensor--) {
      long from = Math.max(begin, table.firstBlock(tensor));
      float shrink = table.shrink(tensor);
      if (table.scalarsOf(tensor) >= 0 && shrink > 0) {
        project(table, tensor, from, to, shrink, workspace);
      }
      to = from;
    }
  }

  private void project(
      BlockTable table, int tensor, long begin, long end, float shrink, Workspace workspace) {
    for (long stop = end; stop > begin; stop -= STRETCH) {
      for (long block = Math.max(begin, stop - STRETCH); block < stop; block++) {
        project(table, tensor, block, shrink, workspace);
      }
    }
  }

  @Override
  public final void gradSq(BlockTable table, long begin, long end) {
    Workspace workspace = Workspace.ofThread();
    int tensor = table.tensorOf(begin);
    for (long from = begin; from < end; tensor++) {
      long to = Math.min(end, table.firstBlock(tensor + 1));
      if (table.scalarsOf(tensor) >= 0) {
        for (long block = from; block < to; block++) {
          gradSq(table, tensor, block, workspace);
        }
      }
      from = to;
    }
  }

  /** Updates a block; with SPD also its sums. */
  abstract void update(BlockTable table, int tensor, long block, Scalars k, Workspace workspace);

  /** Projects a block. */
  abstract void project(
      BlockTable table, int tensor, long block, float shrink, Workspace workspace);

  /** The sum of a block's squared gradients, into the table. */
  abstract void gradSq(BlockTable table, int tensor, long block, Workspace workspace);
}
