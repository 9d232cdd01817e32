package io.spd4j.mpi;

import java.lang.foreign.MemorySegment;
import java.util.Objects;

/**
 * Memory that is sent to a rank or received from it.
 *
 * @param rank the other rank, or this one for a copy
 * @param data the memory, of any size
 */
public record Part(int rank, MemorySegment data) {
  /**
   * Checks nothing of the memory; the collective does.
   *
   * @throws NullPointerException if data is null
   */
  public Part {
    Objects.requireNonNull(data, "data is null");
  }
}
