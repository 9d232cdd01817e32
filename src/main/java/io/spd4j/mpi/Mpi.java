package io.spd4j.mpi;

import io.spd4j.Diagnostics;
import io.spd4j.Ranks;
import io.spd4j.nativelib.MpiAbi;
import io.spd4j.nativelib.NativeLibrary;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * This process's place in a job of MPI. {@code mpirun -n 4 java ...} starts four processes; in each
 * of them {@link #init} returns an Mpi with its {@link #rank}, 0 to 3, and the {@link #size}, 4. A
 * process that was started without mpirun is alone: rank 0 of 1.
 *
 * <p><b>Collectives</b> are called by all ranks, in the same order, with counts that agree. A
 * method whose name begins with {@code start} returns at once; the memory that it was given must
 * stay open, what it sends unchanged and what it receives unread until {@link Pending} says so. The
 * others wait for this rank's part. Segments must be off-heap, in host memory; nothing that is
 * received may overlap anything else. A bad argument throws an {@link IllegalArgumentException} or
 * {@link NullPointerException} ({@link WrongThreadException} for a confined arena of another
 * thread), and nothing is sent: what the other ranks sent or expect is then lost, so let the
 * exception end this rank.
 *
 * <p><b>Failures</b> end the job and do not hang it. Use Mpi in a try-with-resources statement,
 * with the arenas of the memory declared before it. If one rank leaves it by an exception, every
 * other rank gets an {@link MpiException} from the first collective that this rank does not take
 * part in. If a rank is killed or exits without {@link #close}, mpirun ends the others.
 *
 * <p>Thread-safe; MPI is called by one thread at a time. Threads that start collectives must agree
 * on an order that is the same on every rank.
 */
public final class Mpi implements AutoCloseable {
  private final World world;

  private Mpi(World world) {
    this.world = world;
  }

  /**
   * Whether MPI can be used here, and the reason.
   *
   * @param available whether there is a library that {@link Mpi#init} can use
   * @param reason one sentence: what was found, or what is missing and how to get it
   */
  public record Availability(boolean available, String reason) {}

  /**
   * Returns whether this is one of several processes that mpirun or Slurm started, as far as its
   * environment tells. Thread-safe.
   */
  public static boolean isLaunched() {
    return World.launchedAs(System.getenv()).isPresent();
  }

  /** Looks for the library of an MPI, at the first call only. Thread-safe; never throws. */
  public static Availability availability() {
    NativeLibrary library = NativeLibrary.mpi();
    return library.loaded()
        ? new Availability(true, library.reason() + ", " + MpiAbi.loaded().name())
        : new Availability(false, library.reason());
  }

  /**
   * Joins the job that this process was started in. Waits for all ranks. A process can do this
   * once, and should close it in the same thread.
   *
   * @throws IllegalStateException if no MPI is available (the message says what to install), or if
   *     this process called it before
   * @throws MpiException if MPI fails, if this process was started by the mpirun of another MPI, or
   *     if ranks have different versions of this library
   */
  public static Mpi init() {
    Availability availability = availability();
    if (!availability.available()) {
      throw new IllegalStateException("MPI is not available: " + availability.reason());
    }
    Mpi mpi = new Mpi(World.join(MpiAbi.loaded()));
    try {
      mpi.requireSame(
          "the version of spd4j", Diagnostics.version().getBytes(StandardCharsets.UTF_8));
    } catch (RuntimeException e) {
      try {
        mpi.close();
      } catch (RuntimeException second) {
        e.addSuppressed(second);
      }
      throw e;
    }
    return mpi;
  }

  /** Returns the number of this process, from 0. */
  public int rank() {
    return world.rank();
  }

  /** Returns the number of processes in the job. */
  public int size() {
    return world.size();
  }

  /** Returns the ranks as {@link io.spd4j.Adam.Builder#ranks} takes them. */
  public Ranks ranks() {
    return new MpiRanks(this);
  }

  /** Returns the name of the MPI in use, with its version. */
  public String library() {
    return world.library();
  }

  /**
   * Waits until all ranks have called it.
   *
   * @throws MpiException as {@link Pending#await}
   * @throws IllegalStateException if this is closed
   */
  public void barrier() {
    List<Part> empty =
        IntStream.range(0, size()).mapToObj(r -> new Part(r, MemorySegment.NULL)).toList();
    world.start("barrier", empty, empty).await();
  }

  /**
   * Checks that all ranks have the same settings, names, shapes or the like, which the bytes stand
   * for. A collective; call it before work begins, because ranks that differ would compute
   * nonsense.
   *
   * @param what what is compared, for the message: a noun such as "the shapes of the parameters"
   * @param content the content, or a hash of it
   * @throws MpiException on every rank, if one differs; the message names the ranks that differ
   *     from rank 0. Also as {@link Pending#await}
   * @throws IllegalStateException if this is closed
   */
  public void requireSame(String what, byte[] content) {
    Objects.requireNonNull(what, "what is null");
    byte[] hash = sha256(Objects.requireNonNull(content, "content is null"));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment mine = arena.allocateFrom(ValueLayout.JAVA_BYTE, hash);
      MemorySegment all = arena.allocate((long) hash.length * size());
      long[] bytes = new long[size()];
      Arrays.fill(bytes, hash.length);
      allGather(mine, all, Slices.packed(bytes));
      MemorySegment first = all.asSlice(0, hash.length);
      List<Integer> differ = new ArrayList<>();
      for (int rank = 1; rank < size(); rank++) {
        if (all.asSlice((long) rank * hash.length, hash.length).mismatch(first) >= 0) {
          differ.add(rank);
        }
      }
      if (!differ.isEmpty()) {
        String ranks = differ.stream().map(String::valueOf).collect(Collectors.joining(", "));
        throw new MpiException(
            (differ.size() == 1 ? "rank " + ranks + " differs" : "ranks " + ranks + " differ")
                + " from rank 0 in "
                + what);
      }
    }
  }

  private static byte[] sha256(byte[] content) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(content);
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e); // every JDK has it
    }
  }

  /**
   * Copies memory from one rank to all others.
   *
   * @param data read on the root, written on the others; the same number of bytes everywhere
   * @param root the rank that sends
   * @throws MpiException as {@link Pending#await}
   * @throws IllegalStateException if this is closed
   */
  public void broadcast(MemorySegment data, int root) {
    startBroadcast(data, root).await();
  }

  /** Starts a {@link #broadcast}. */
  public Pending startBroadcast(MemorySegment data, int root) {
    return world.startBroadcast(Objects.requireNonNull(data, "data is null"), root);
  }

  /**
   * Sends a slice to each rank, and receives one from each. What rank a sends to rank b must have
   * as many bytes as b receives from a.
   *
   * @param send what this rank sends
   * @param sendSlices the slice for each rank
   * @param receive what this rank receives
   * @param receiveSlices the slice from each rank
   * @throws MpiException as {@link Pending#await}
   * @throws IllegalStateException if this is closed
   */
  public void allToAll(
      MemorySegment send, Slices sendSlices, MemorySegment receive, Slices receiveSlices) {
    startAllToAll(send, sendSlices, receive, receiveSlices).await();
  }

  /** Starts an {@link #allToAll}. */
  public Pending startAllToAll(
      MemorySegment send, Slices sendSlices, MemorySegment receive, Slices receiveSlices) {
    return world.start(
        "allToAll",
        sendSlices.of("send", send, size()),
        receiveSlices.of("receive", receive, size()));
  }

  /**
   * Gives every rank what each rank sends.
   *
   * @param send what this rank sends to all: as many bytes as its own slice has
   * @param receive what this rank receives
   * @param slices the slice from each rank, this one included; the same bytes on all ranks
   * @throws MpiException as {@link Pending#await}
   * @throws IllegalStateException if this is closed
   */
  public void allGather(MemorySegment send, MemorySegment receive, Slices slices) {
    startAllGather(send, receive, slices).await();
  }

  /** Starts an {@link #allGather(MemorySegment, MemorySegment, Slices)}. */
  public Pending startAllGather(MemorySegment send, MemorySegment receive, Slices slices) {
    Objects.requireNonNull(send, "send is null");
    List<Part> receives = slices.of("receive", receive, size());
    checkOwn(send, slices);
    return world.start("allGather", toAll(send), receives);
  }

  /**
   * Gives every rank what each rank has, in place: this rank's slice is sent, the others are
   * received.
   *
   * @param data all slices
   * @param slices the slice of each rank, the same bytes on all ranks
   * @throws MpiException as {@link Pending#await}
   * @throws IllegalStateException if this is closed
   */
  public void allGather(MemorySegment data, Slices slices) {
    startAllGather(data, slices).await();
  }

  /** Starts an {@link #allGather(MemorySegment, Slices)}. */
  public Pending startAllGather(MemorySegment data, Slices slices) {
    List<Part> parts = slices.of("data", data, size());
    List<Part> receives = new ArrayList<>(parts);
    MemorySegment own = receives.remove(rank()).data();
    List<Part> sends = toAll(own);
    sends.remove(rank());
    return world.start("allGather", sends, receives);
  }

  /**
   * Gives one rank what each rank sends.
   *
   * @param send what this rank sends
   * @param receive what the root receives; not used on other ranks, and can be null there
   * @param slices the slice from each rank; not used on other ranks, and can be null there
   * @param root the rank that receives
   * @throws MpiException as {@link Pending#await}
   * @throws IllegalStateException if this is closed
   */
  public void gather(MemorySegment send, MemorySegment receive, Slices slices, int root) {
    startGather(send, receive, slices, root).await();
  }

  /** Starts a {@link #gather}. */
  public Pending startGather(MemorySegment send, MemorySegment receive, Slices slices, int root) {
    Objects.requireNonNull(send, "send is null");
    List<Part> receives = List.of();
    if (rank() == root) {
      receives = slices.of("receive", receive, size());
      checkOwn(send, slices);
    }
    return world.start("gather", List.of(new Part(root, send)), receives);
  }

  /**
   * Sends any number of segments to any ranks, and receives some: the n-th segment that rank a
   * sends to rank b arrives in the n-th segment that b receives from a, and has as many bytes. So a
   * layer whose tensors lie apart needs one collective, not one for each tensor. A rank that has
   * nothing to send or to receive calls it with empty lists. How many segments go from a to b is
   * not checked here: {@link #requireSame} can check the plan once.
   *
   * @param sends what this rank sends
   * @param receives what this rank receives
   * @throws MpiException as {@link Pending#await}
   * @throws IllegalStateException if this is closed
   */
  public void exchange(List<Part> sends, List<Part> receives) {
    startExchange(sends, receives).await();
  }

  /** Starts an {@link #exchange}. */
  public Pending startExchange(List<Part> sends, List<Part> receives) {
    return world.start("exchange", List.copyOf(sends), List.copyOf(receives));
  }

  private void checkOwn(MemorySegment send, Slices slices) {
    if (send.byteSize() != slices.bytes(rank())) {
      throw new IllegalArgumentException(
          "send has %d bytes, but the slice of this rank, %d, has %d"
              .formatted(send.byteSize(), rank(), slices.bytes(rank())));
    }
  }

  private List<Part> toAll(MemorySegment send) {
    List<Part> sends = new ArrayList<>();
    for (int rank = 0; rank < size(); rank++) {
      sends.add(new Part(rank, send));
    }
    return sends;
  }

  /**
   * Leaves the job: tells the other ranks, waits until all have closed, and ends MPI. Ranks that
   * wait in a collective that this rank does not take part in get an {@link MpiException}. The same
   * happens to collectives of this rank that are not complete. A second call does nothing.
   *
   * @throws MpiException if MPI fails
   * @throws IllegalStateException if the arena of a collective that is not complete was closed. MPI
   *     could still write into its memory, so the other ranks cannot be told; the job is ended soon
   */
  @Override
  public void close() {
    world.close();
  }
}
