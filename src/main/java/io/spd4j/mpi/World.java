package io.spd4j.mpi;

import io.spd4j.mpi.Departures.Departure;
import io.spd4j.nativelib.MpiAbi;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

/**
 * The ranks, and the collectives of this one that are not complete. All MPI calls are made here,
 * under one lock, and none of them blocks.
 *
 * <p>Collectives are made of messages from rank to rank, not of MPI's own collectives: those cannot
 * be given up when a rank has left, and count in ints.
 */
final class World {
  /** How long a rank that has left may take to deliver what it sent before. */
  private static final long DELIVERY = TimeUnit.SECONDS.toNanos(10);

  /** How long MPI may take to let go of memory after a failure. */
  private static final long SETTLING = TimeUnit.SECONDS.toNanos(30);

  /** How long a process may live on whose memory MPI must not touch. */
  private static final long ENDING_MILLIS = 3000;

  /**
   * How long a rank that left because of another one lives on. mpirun ends all as soon as the first
   * exits, and the other one must have the time to print its exception.
   */
  private static final long LAST_NANOS = TimeUnit.MILLISECONDS.toNanos(500);

  /** What launchers tell their processes: the size of the job. The first that is set counts. */
  private static final List<String> LAUNCHERS =
      List.of("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS");

  private static final AtomicBoolean JOINED = new AtomicBoolean();

  private final ReentrantLock lock = new ReentrantLock();
  private final Arena arena = Arena.ofShared();
  private final Calls calls;
  private final String library;
  private final int rank;
  private final int size;
  private final MemorySegment communicator;
  private final Departures departures;
  private final Drain drain;
  private final List<Operation> active = new ArrayList<>();
  private long started;
  private MpiException failure;
  private String unsafe;
  private boolean closed;
  private boolean leftAfterAnother;

  private World(MpiAbi abi) {
    library = abi.name();
    calls = new Calls(abi, arena);
    if (calls.initialized()) {
      throw new IllegalStateException("MPI was started in this process before, by other code");
    }
    calls.init();
    rank = calls.rank();
    size = calls.size();
    refuseOtherLauncher(System.getenv());
    communicator = calls.duplicateWorld();
    departures = new Departures(calls, calls.duplicateWorld(), rank, size, arena);
    drain = new Drain(calls, communicator, arena);
  }

  /** Starts MPI. */
  static World join(MpiAbi abi) {
    if (!JOINED.compareAndSet(false, true)) {
      throw new IllegalStateException(
          "Mpi.init was called before: a process can join a job only once");
    }
    return new World(abi);
  }

  /** Started by the mpirun of another MPI, each process would take itself for the only one. */
  private void refuseOtherLauncher(Map<String, String> environment) {
    String launcher = launchedAs(environment).orElse(null);
    if (size == 1 && launcher != null) {
      throw new MpiException(
          "the launcher started %s processes (%s), but %s knows only this one: start it with the"
                  .formatted(environment.get(launcher), launcher, library)
              + " mpirun of that MPI, or java with -Dmpi.library.path=FILE, the library of the MPI"
              + " that the launcher belongs to");
    }
  }

  /** Returns the variable in which a launcher tells that it started several processes. */
  static Optional<String> launchedAs(Map<String, String> environment) {
    return LAUNCHERS.stream()
        .filter(environment::containsKey)
        .findFirst()
        .filter(variable -> !environment.get(variable).equals("1"));
  }

  int rank() {
    return rank;
  }

  int size() {
    return size;
  }

  String library() {
    return library;
  }

  /** Starts a collective in which this rank's parts are sent as they are. */
  Pending start(String kind, List<Part> sends, List<Part> receives) {
    PartChecks.check(sends, receives, size);
    List<Part> toSelf = sends.stream().filter(part -> part.rank() == rank).toList();
    List<Part> fromSelf = receives.stream().filter(part -> part.rank() == rank).toList();
    PartChecks.checkSame(toSelf, fromSelf);
    List<Transfer> transfers = new ArrayList<>();
    add(transfers, receives, false);
    add(transfers, sends, true);
    lock.lock();
    try {
      Pending pending = begin(kind, memory(sends, receives), transfers);
      for (int i = 0; i < toSelf.size(); i++) {
        fromSelf.get(i).data().copyFrom(toSelf.get(i).data());
      }
      return pending;
    } finally {
      lock.unlock();
    }
  }

  /** Adds messages; every rank begins with another one, so that not all send to the same. */
  private void add(List<Transfer> transfers, List<Part> parts, boolean send) {
    parts.stream()
        .filter(part -> part.rank() != rank)
        .sorted(Comparator.comparingInt(part -> distance(part.rank(), send)))
        .forEach(part -> transfers.addAll(Transfer.of(part, send, null)));
  }

  private int distance(int other, boolean send) {
    return Math.floorMod(send ? other - rank : rank - other, size);
  }

  private static List<MemorySegment> memory(List<Part> sends, List<Part> receives) {
    return Stream.concat(sends.stream(), receives.stream()).map(Part::data).toList();
  }

  /** Starts a broadcast along a binomial tree: piece by piece, each as soon as it has arrived. */
  Pending startBroadcast(MemorySegment data, int root) {
    PartChecks.checkRank("root", root, size);
    Part own = new Part(rank, data);
    boolean written = rank != root;
    PartChecks.check(written ? List.of() : List.of(own), written ? List.of(own) : List.of(), size);
    int place = Math.floorMod(rank - root, size);
    List<Transfer> transfers = new ArrayList<>();
    List<Transfer> arrivals = null;
    int span = Integer.lowestOneBit(place); // how many ranks get it through this one
    if (place == 0) {
      span = Integer.highestOneBit(size) << 1;
    } else {
      arrivals = Transfer.of(new Part((place - span + root) % size, data), false, null);
      transfers.addAll(arrivals);
    }
    for (int next = span >> 1; next > 0; next >>= 1) {
      if (place + next < size) {
        Part part = new Part((place + next + root) % size, data);
        transfers.addAll(Transfer.of(part, true, arrivals));
      }
    }
    lock.lock();
    try {
      return begin("broadcast", List.of(data), transfers);
    } finally {
      lock.unlock();
    }
  }

  private Pending begin(String kind, List<MemorySegment> memory, List<Transfer> transfers) {
    checkUsable();
    Operation operation = new Operation(kind, started + 1, memory, transfers);
    active.add(operation);
    started++;
    poll();
    return new Pending(this, operation);
  }

  boolean isDone(Operation operation) {
    lock.lock();
    try {
      if (!operation.isDone()) {
        checkUsable();
        poll();
      }
      return operation.isDone();
    } finally {
      lock.unlock();
    }
  }

  void await(Operation operation) {
    Idle idle = new Idle();
    while (!isDone(operation)) {
      idle.pause();
    }
  }

  private void checkUsable() {
    if (unsafe != null) {
      throw new IllegalStateException(unsafe);
    }
    if (closed) {
      throw new IllegalStateException("this Mpi is closed");
    }
    if (failure != null) {
      throw new MpiException(failure.getMessage(), failure);
    }
  }

  /** Moves data of all collectives. */
  private void poll() {
    checkMemory();
    Departure cause = null;
    try {
      departures.poll();
      for (Operation operation : active) {
        operation.poll(calls, communicator);
      }
      active.removeIf(Operation::isDone);
      for (Operation operation : active) {
        cause = departures.before(operation.number());
        if (cause != null) {
          throw new MpiException(cause + ", so " + operation + " cannot be completed");
        }
        checkDelivery(operation);
      }
    } catch (MpiException e) {
      fail(e, cause);
      throw e;
    }
  }

  private void checkDelivery(Operation operation) {
    if (departures.any() && operation.awaits(other -> departures.isGone(other, DELIVERY))) {
      throw new MpiException(
          operation
              + " waits for bytes that a rank never sent which has closed: the ranks call different"
              + " collectives, or their counts differ");
    }
  }

  /** Never calls MPI again once memory is gone into which it may write. */
  private void checkMemory() {
    for (Operation operation : active) {
      if (!operation.isAlive()) {
        unsafe =
            "the arena of %s was closed before it was complete: rank %d ends the job"
                .formatted(operation, rank);
        Thread.ofPlatform().daemon().start(() -> endSoon(unsafe));
        throw new IllegalStateException(unsafe);
      }
    }
  }

  /** Leaves time to print the exception. */
  private void endSoon(String why) {
    try {
      Thread.sleep(ENDING_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    end(why);
  }

  private void end(String why) {
    System.err.println("spd4j: " + why);
    calls.abort();
  }

  /**
   * Leaves all collectives, and returns when MPI uses none of their memory.
   *
   * @param cause the departure of another rank that is the reason, or null
   */
  private void fail(MpiException e, Departure cause) {
    failure = e;
    long completed = active.isEmpty() ? started : active.getFirst().number() - 1;
    leftAfterAnother = cause != null;
    Departure why = cause != null ? cause : new Departure(rank, completed, !closed);
    try {
      departures.leave(completed, true, why);
    } catch (MpiException second) {
      e.addSuppressed(second);
    }
    active.forEach(operation -> operation.giveUp(calls));
    Idle idle = new Idle();
    long begin = System.nanoTime();
    while (!active.isEmpty()) {
      checkMemory();
      active.removeIf(operation -> operation.isSettled(calls));
      discard();
      if (System.nanoTime() - begin > SETTLING) {
        end(
            "rank %d cannot take its memory back from MPI, and ends the job: %s"
                .formatted(rank, e.getMessage()));
      }
      idle.pause();
    }
  }

  /** Ignores errors, because this follows on one. */
  private void discard() {
    try {
      departures.poll();
      drain.poll();
    } catch (MpiException again) {
      return;
    }
  }

  void close() {
    lock.lock();
    try {
      if (closed || unsafe != null) {
        return;
      }
      closed = true;
      checkMemory();
      if (!active.isEmpty()) {
        fail(new MpiException("closed before " + active.getFirst() + " was complete"), null);
      } else if (failure == null) {
        departures.leave(started, false, new Departure(rank, started, false));
      }
      departures.finish();
      Idle idle = new Idle();
      while (!departures.isComplete()) {
        departures.poll();
        if (failure != null || departures.anyFailed()) {
          drain.poll();
        }
        idle.pause();
      }
      drain.stop();
      calls.finish();
      arena.close();
      if (leftAfterAnother) {
        LockSupport.parkNanos(LAST_NANOS);
      }
    } finally {
      lock.unlock();
    }
  }
}
