package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;

import java.lang.foreign.MemorySegment;

/** Kernels of the Java backends: they loop over blocks, and subclasses over a block's elements. */
abstract class JavaKernels implements Kernels {
  /**
   * Projects 32 blocks at a time: the newest stretch first, as it is still cached; forwards inside
   * it, so that prefetching works. The C kernels do the same.
   */
  private static final int STRETCH = 32;

  @Override
  public final void update(BlockTable table, long begin, long end) {
    Workspace workspace = Workspace.ofThread();
    int tensor = table.tensorOf(begin);
    for (long from = begin; from < end; tensor++) {
      long to = Math.min(end, table.firstBlock(tensor + 1));
      int row = table.scalarsOf(tensor);
      if (row >= 0) {
        boolean decides = update(table, tensor, from, to, table.scalars(row), workspace);
        if (decides
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
        project(
            table.tensor(tensor),
            table.begin(tensor, block),
            table.length(tensor, block),
            table.scalars(table.scalarsOf(tensor)),
            shrink,
            workspace);
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

  /** Updates blocks of a tensor; returns whether the rule decides. */
  private boolean update(BlockTable table, int tensor, long from, long to, Scalars k, Workspace w) {
    SteppedTensor t = table.tensor(tensor);
    boolean decides = k.rule.decides();
    for (long block = from; block < to; block++) {
      update(t, table.begin(tensor, block), table.length(tensor, block), k, w);
      if (decides) {
        MemorySegment sums = table.sums();
        long row = block * TableLayout.SUMS.byteSize();
        sums.set(JAVA_DOUBLE, row + TableLayout.GRAD_DOT, w.gradDot);
        sums.set(JAVA_DOUBLE, row + TableLayout.DEV_SQ, w.devSq);
        sums.set(JAVA_DOUBLE, row + TableLayout.NEW_DEV_SQ, w.newDevSq);
      }
    }
    return decides;
  }

  private void gradSq(BlockTable table, int tensor, long block, Workspace w) {
    gradSq(table.tensor(tensor), table.begin(tensor, block), table.length(tensor, block), w);
    long row = block * TableLayout.SUMS.byteSize();
    table.sums().set(JAVA_DOUBLE, row + TableLayout.GRAD_SQ, w.gradSq);
  }

  /**
   * Updates n elements of a tensor, the first of which begins a block. If the rule decides, also
   * leaves the elements' sums in the workspace.
   */
  abstract void update(SteppedTensor t, long begin, int n, Scalars k, Workspace w);

  /** Projects n elements of a tensor, the first of which begins a block. */
  abstract void project(SteppedTensor t, long begin, int n, Scalars k, float shrink, Workspace w);

  /** Sums up the squares of n gradient elements, the first of which begins a block. */
  abstract void gradSq(SteppedTensor t, long begin, int n, Workspace w);
}
