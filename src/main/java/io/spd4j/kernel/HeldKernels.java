package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;

/**
 * Kernels that use arrays by their addresses, so the arrays' arenas must stay open meanwhile. A run
 * of blocks is cut into spans; the call for a span takes a segment of each arena, which keeps it
 * open.
 */
abstract class HeldKernels implements Kernels {
  /**
   * Runs a pass over the blocks [begin, end) of one span.
   *
   * @param held {@link Holds#WIDTH} segments whose arenas must stay open during the pass
   */
  abstract void run(Pass pass, BlockTable table, long begin, long end, MemorySegment[] held);

  @Override
  public final void update(BlockTable table, long begin, long end) {
    forward(Pass.UPDATE, table, begin, end);
  }

  @Override
  public final void gradSq(BlockTable table, long begin, long end) {
    forward(Pass.GRAD_SQ, table, begin, end);
  }

  private void forward(Pass pass, BlockTable table, long begin, long end) {
    Holds holds = table.holds();
    for (int span = holds.spanOf(begin); begin < end; span++) {
      long spanEnd = Math.min(end, holds.end(span));
      run(pass, table, begin, spanEnd, holds.segments(span));
      begin = spanEnd;
    }
  }

  @Override
  public final void project(BlockTable table, long begin, long end) {
    Holds holds = table.holds();
    for (int span = holds.spanOf(end - 1); begin < end; span--) {
      long spanBegin = Math.max(begin, holds.begin(span));
      run(Pass.PROJECT, table, spanBegin, end, holds.segments(span));
      end = spanBegin;
    }
  }
}
