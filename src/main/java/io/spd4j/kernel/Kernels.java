package io.spd4j.kernel;

/**
 * The three passes of a CPU backend over a run [begin, end) of a table's blocks, and interpolation.
 * An implementation keeps no state between calls, starts no threads, and is called from several
 * threads at once for runs that do not overlap. {@code native/NUMERICS.md} defines the bits of the
 * results.
 */
public interface Kernels {
  /** Returns {@code native}, {@code vector} or {@code scalar}. */
  String name();

  /** Returns what runs, in a few words: the ISA tier or the vector width. */
  String detail();

  /**
   * Updates moments and parameters; for SPD also writes the blocks' sums. If the table has
   * decisions, also decides on each tensor that lies whole in the run, and projects it if it is
   * selected.
   */
  void update(BlockTable table, long begin, long end);

  /**
   * Projects the tensors whose shrink is above 0, the last blocks first. Callers leave out tensors
   * that the update has projected.
   */
  void project(BlockTable table, long begin, long end);

  /** Writes the blocks' sums of squared gradients. */
  void gradSq(BlockTable table, long begin, long end);

  /** Interpolates between two arrays, unless the result is a copy. */
  void interpolate(Interpolands arrays);
}
