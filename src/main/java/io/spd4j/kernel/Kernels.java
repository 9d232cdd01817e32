package io.spd4j.kernel;

/**
 * What a CPU backend does: three passes over a run [begin, end) of a table's blocks. An
 * implementation keeps no state of a step, starts no thread, and is called from several threads at
 * once for runs that do not overlap. Which bits come out is not its choice: {@code
 * native/NUMERICS.md}.
 */
public interface Kernels {
  /** {@code native}, {@code vector} or {@code scalar}. */
  String name();

  /** What runs, in a few words: the ISA tier or the vector width. */
  String detail();

  /**
   * Moments and parameters; for SPD also the blocks' sums. If the table has decisions, a tensor
   * that the run holds whole is decided on and projected, too.
   */
  void update(BlockTable table, long begin, long end);

  /**
   * SPD's projection of the tensors whose shrink is above 0, the last blocks first; not for tensors
   * that an update has projected.
   */
  void project(BlockTable table, long begin, long end);

  /** The blocks' sums of squared gradients. */
  void gradSq(BlockTable table, long begin, long end);
}
