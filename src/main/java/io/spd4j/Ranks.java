package io.spd4j;

import java.lang.foreign.MemorySegment;

/**
 * The processes (<i>ranks</i>) of a job that train one model together, as one of them sees them:
 * what {@link Adam.Builder#ranks} needs to step a model in shards. An implementation moves bytes
 * and computes nothing, so results do not depend on it.
 *
 * <p>All methods but {@link #rank} and {@link #size} are <i>collective</i>: every rank makes the
 * same calls in the same order, with the same sizes. A call that fails on one rank throws on every
 * rank, in this call or in a later one; at the latest once the rank that failed has left. After
 * such a failure the ranks are of no more use.
 *
 * <p>Not thread-safe: call from one thread at a time.
 */
public interface Ranks {
  /** Returns this process's number, from 0 to {@link #size} - 1. */
  int rank();

  /** Returns the number of processes, 1 or more. */
  int size();

  /**
   * Starts to send part p of a segment to rank p, and to receive what rank p sends here into part p
   * of another. There are {@link #size} parts of equal length, which may be 0. The part for this
   * rank itself is copied.
   *
   * <p>The transfer may go on while the caller does other work or starts more transfers. Until
   * {@link Transfer#await} returns, leave {@code send} unchanged, and do not use {@code receive}.
   *
   * @param send in host memory, off-heap; a multiple of size() bytes
   * @param receive in host memory, off-heap; as many bytes; does not overlap {@code send}
   * @throws IllegalArgumentException if the segments are not as described
   */
  Transfer allToAll(MemorySegment send, MemorySegment receive);

  /**
   * Starts to send a segment to every rank, and to receive what rank p sends into part p of
   * another. Otherwise as {@link #allToAll}.
   *
   * @param send in host memory, off-heap; may be empty
   * @param receive in host memory, off-heap; size() times as many bytes; does not overlap {@code
   *     send}
   * @throws IllegalArgumentException if the segments are not as described
   */
  Transfer allGather(MemorySegment send, MemorySegment receive);

  /**
   * Makes sure that all ranks agree on something.
   *
   * @param what names it in the message, such as {@code the version of spd4j}
   * @param digest the bytes to compare: the thing itself, or a hash of it
   * @throws IllegalStateException on every rank, if those of any rank differ
   */
  void requireSame(String what, byte[] digest);

  /** A transfer under way. */
  interface Transfer {
    /** Waits until the transfer is complete on this rank. Call it once. */
    void await();

    /**
     * Returns whether {@link #await} would return at once; false if that is not known. An
     * implementation whose data move only while it is called moves them here, those of all
     * transfers under way. Not collective: call it at any time before {@link #await}.
     */
    default boolean isDone() {
      return false;
    }
  }
}
