package io.spd4j.mpi;

/**
 * A collective that was started. MPI moves data while it is called, so a long computation should
 * call {@link #isDone} now and then, and {@link #await} before it needs the data. Either moves
 * every collective that was started. Thread-safe.
 */
public final class Pending {
  private final World world;
  private final Operation operation;

  Pending(World world, Operation operation) {
    this.world = world;
    this.operation = operation;
  }

  /**
   * Moves data and returns whether this collective is complete on this rank: what it receives is
   * there, and what it sends can be overwritten.
   *
   * @throws MpiException as {@link #await}
   * @throws IllegalStateException as {@link #await}
   */
  public boolean isDone() {
    return world.isDone(operation);
  }

  /**
   * Waits until this collective is complete on this rank. Other threads can start collectives
   * meanwhile. An interrupt does not end it.
   *
   * @throws MpiException if MPI fails, if a rank closed or failed that takes part, or if what
   *     arrives has another size than is expected. MPI then uses none of the memory that was given
   *     to it, and this rank can only be closed
   * @throws IllegalStateException if this collective is not complete and the Mpi was closed, or the
   *     arena of its memory was. The latter cannot be undone: this rank ends the job soon
   */
  public void await() {
    world.await(operation);
  }
}
