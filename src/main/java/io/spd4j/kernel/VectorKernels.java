package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;

/**
 * The Vector API kernels. They require native access, because they use arrays by their addresses.
 */
final class VectorKernels extends HeldKernels {
  private final Kernels blocks = new VectorBlocks();

  /**
   * @throws ExceptionInInitializerError if native access is denied or the vector width invalid
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

  @Override
  public void interpolate(Interpolands a) {
    OpenArenas.run(() -> blocks.interpolate(a), Holds.of(a.from(), a.to(), a.dst()));
  }
}
