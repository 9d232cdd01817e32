package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;

/**
 * What a stepper on one of several processes exchanges with the others. All processes make the same
 * calls in the same order. Not thread-safe.
 */
public interface Exchange {
  /** The exchange of a process that has all tensors whole: there is none. */
  Exchange NONE =
      new Exchange() {
        @Override
        public Shards shards() {
          return null;
        }

        @Override
        public void agree(boolean[] stepped, double gradScale, double maxNorm) {}

        @Override
        public void gradients(boolean[] stepped, boolean again) {}

        @Override
        public void sums(MemorySegment own, MemorySegment all) {}

        @Override
        public void parameters(boolean[] stepped) {}
      };

  /** Returns which elements the tensors of the stepper are; null if they are whole. */
  Shards shards();

  /**
   * Makes sure that all processes are about to take the same step.
   *
   * @param stepped whether it steps a tensor
   * @param maxNorm NaN if the step does not clip, 0 if only the norm is asked for
   * @throws IllegalStateException on every process, if they are not
   */
  void agree(boolean[] stepped, double gradScale, double maxNorm);

  /**
   * Adds up all processes' gradients of these tensors: each process gets the totals of its shard.
   *
   * @param again whether the next step is to add up the same gradients once more
   */
  void gradients(boolean[] stepped, boolean again);

  /**
   * Brings the sums of every process's blocks together.
   *
   * @param own the {@code spd4j_sums} of this shard's blocks
   * @param all receives the rows of all tensors' blocks
   */
  void sums(MemorySegment own, MemorySegment all);

  /** Brings the stepped parameters of these tensors to every process. */
  void parameters(boolean[] stepped);
}
