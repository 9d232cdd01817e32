package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.nio.charset.StandardCharsets.UTF_8;

import io.spd4j.Ranks;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.mpi.Mpi;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.Writer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.function.BooleanSupplier;

/**
 * The processes that do a job together, as one of them sees them. All of them do the same, each on
 * its part of every batch, and only the first one says and writes anything. What is collective must
 * be called by all of them, in the same order.
 */
final class Processes implements AutoCloseable {
  /** A job of one process. */
  static final Processes ONE = new Processes(null, () -> {});

  /** Something that all processes do. */
  interface Task<T> {
    T run() throws Failure, IOException, InterruptedException;
  }

  /**
   * What was communicated so far.
   *
   * @param bytes what this process sent to others
   * @param nanos how long it was in it
   */
  record Communication(long bytes, long nanos) {}

  private final CountedRanks ranks;
  private final Runnable close;

  /**
   * @param ranks null if this is the only process
   */
  Processes(Ranks ranks, Runnable close) {
    this.ranks = ranks == null ? null : new CountedRanks(ranks);
    this.close = close;
  }

  /**
   * Returns the processes that mpirun started; this one alone if it was started in another way.
   *
   * @throws Failure if mpirun started it, but there is no MPI that it can use
   */
  static Processes open() throws Failure {
    if (!Mpi.isLaunched()) {
      return ONE;
    }
    Mpi.Availability mpi = Mpi.availability();
    if (!mpi.available()) {
      throw Failure.ofInput("mpirun started this, but MPI is not available: " + mpi.reason());
    }
    Mpi opened = Mpi.init();
    return new Processes(opened.ranks(), opened::close);
  }

  /** Returns what the optimizer needs to know; null if this is the only process. */
  Ranks ranks() {
    return ranks;
  }

  int size() {
    return ranks == null ? 1 : ranks.size();
  }

  int rank() {
    return ranks == null ? 0 : ranks.rank();
  }

  /** Returns whether this is the process that says and writes what the job does. */
  boolean isFirst() {
    return rank() == 0;
  }

  Communication communication() {
    return ranks == null
        ? new Communication(0, 0)
        : new Communication(ranks.bytes(), ranks.nanos());
  }

  /** Returns a log, which says nothing if this is not the first process. */
  Log log(PrintWriter out, PrintWriter err, boolean quiet) {
    if (isFirst()) {
      return new Log(out, err, quiet);
    }
    PrintWriter nowhere = new PrintWriter(Writer.nullWriter());
    return new Log(nowhere, nowhere, true);
  }

  /**
   * Does something first on the first process, then on the others, which find what it fetched.
   * Collective.
   */
  <T> T firstAlone(Task<T> task) throws Failure, IOException, InterruptedException {
    T done = isFirst() ? task.run() : null;
    any(false);
    return isFirst() ? done : task.run();
  }

  /**
   * Makes sure that all processes have the same text. Collective.
   *
   * @param what names it in the message
   * @throws Failure if they do not
   */
  void requireSame(String what, String text) throws Failure {
    if (ranks != null) {
      try {
        ranks.requireSame(what, text.getBytes(UTF_8));
      } catch (IllegalStateException differs) {
        throw Failure.ofInput(differs.getMessage());
      }
    }
  }

  /**
   * Returns the numbers of all processes, in their order. Collective.
   *
   * @param own those of this process, as many as every other one has
   */
  double[] gather(double... own) {
    if (ranks == null) {
      return own;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment send = arena.allocateFrom(JAVA_DOUBLE, own);
      MemorySegment received = arena.allocate(JAVA_DOUBLE, (long) own.length * size());
      ranks.allGather(send, received).await();
      return received.toArray(JAVA_DOUBLE);
    }
  }

  /** Returns whether something holds on any process. Collective. */
  boolean any(boolean holds) {
    if (ranks == null) {
      return holds;
    }
    for (double other : gather(holds ? 1 : 0)) {
      if (other != 0) {
        return true;
      }
    }
    return false;
  }

  /** Returns a condition that all processes see alike; to ask for it is collective. */
  BooleanSupplier agreed(BooleanSupplier condition) {
    return ranks == null ? condition : () -> any(condition.getAsBoolean());
  }

  /** Leaves the other processes. */
  @Override
  public void close() {
    close.run();
  }
}
