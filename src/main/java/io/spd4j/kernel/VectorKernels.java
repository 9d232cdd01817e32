package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;

/**
 * The kernels in the Vector API. They need native access, as they use arrays by their addresses.
 */
final class VectorKernels extends HeldKernels {
  private final Kernels blocks = new VectorBlocks();

  /**
   * @throws ExceptionInInitializerError if native access is denied, or there are no such vectors
   */
  VectorKernels() {
    OpenArenas.prepare();
  }

  @Override
  public String name() {
    return blocks.name();
  }

  @Override
  public String detail() {
    return blocks.detail();
  }

  @Override
  void run(Pass pass, BlockTable table, long begin, long end, MemorySegment[] held) {
    OpenArenas.run(blocks, pass, table, begin, end, held);
  }
}
