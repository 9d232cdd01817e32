package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;

/**
 * Kernels that read and write arrays by their addresses: while they do, no arena may be closed. A
 * run is cut into spans whose segments go along with one call.
 */
abstract class HeldKernels implements Kernels {
  /**
   * Runs a pass within a span.
   *
   * @param held {@link Holds#WIDTH} segments whose arenas have to stay open meanwhile
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
