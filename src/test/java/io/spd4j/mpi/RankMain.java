package io.spd4j.mpi;

import io.spd4j.Adam;
import io.spd4j.Parameter;
import io.spd4j.WeightDecay;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/** One rank of a job that a test runs. Says how it ended, in angle brackets. */
public final class RankMain {
  private static final int LARGE = 2 * Transfer.MOST_BYTES + 12345;

  private final Mpi mpi;
  private final Arena arena;
  private final int rank;
  private final int size;
  private final boolean last;

  private RankMain(Mpi mpi, Arena arena) {
    this.mpi = mpi;
    this.arena = arena;
    rank = mpi.rank();
    size = mpi.size();
    last = rank == size - 1;
  }

  public static void main(String[] args) throws Exception {
    Mpi kept;
    try (Arena arena = Arena.ofShared();
        Mpi mpi = Mpi.init()) {
      kept = mpi;
      try {
        new RankMain(mpi, arena).run(args);
      } catch (RuntimeException | AssertionError e) {
        say(mpi.rank(), e.toString());
        throw e;
      }
    }
    kept.close(); // does nothing
    if (args[0].equals("closed")) {
      afterClose(kept);
    }
    say(kept.rank(), "ended");
  }

  /** Writes at once, so that what two ranks say is not mixed. */
  private static void say(int rank, String what) {
    byte[] text = ("<" + rank + ": " + what + ">\n").getBytes(StandardCharsets.UTF_8);
    System.out.write(text, 0, text.length);
    System.out.flush();
  }

  private void run(String[] args) throws Exception {
    switch (args[0]) {
      case "collectives" -> {
        allToAll();
        gathers();
        broadcasts();
        exchange();
        overlapping();
        large();
        mpi.requireSame("nothing", new byte[0]);
        mpi.requireSame("text", "the same".getBytes(StandardCharsets.UTF_8));
      }
      case "random" ->
          new RandomCollectives(mpi, Long.parseLong(args[1])).run(Integer.parseInt(args[2]));
      case "signals" -> signals();
      case "closed" -> mpi.barrier();
      case "leave" -> leave(args[1], Integer.parseInt(args[2]));
      case "differ" -> {
        byte[] settings = {(byte) (rank % 2)};
        mpi.requireSame("the settings", settings);
      }
      case "optimizers" -> optimizers();
      case "announce" -> announce();
      case "kill" -> kill();
      case "exit" -> exit(Integer.parseInt(args[1]));
      case "counts" -> counts();
      case "kinds" -> kinds();
      case "arena" -> closedArena(args[1]);
      case "fault" -> fault();
      default -> throw new IllegalArgumentException(args[0]);
    }
  }

  /** Builds an optimizer that differs on one rank. */
  private void optimizers() {
    MemorySegment data = arena.allocate(4 * 5000, 64);
    MemorySegment gradient = arena.allocate(4 * 5000, 64);
    WeightDecay decay = new WeightDecay(0.01);
    Adam.builder()
        .group(last ? 1e-3 : 1e-2, decay, List.of(Parameter.of("w", data, gradient)))
        .ranks(mpi.ranks())
        .build()
        .close();
  }

  /** Announces gradients: others than the last rank, then the same, and closes before a step. */
  private void announce() {
    Parameter a = parameter("a", 1_000_000);
    Parameter b = parameter("b", 5000);
    try (Adam adam =
        Adam.builder().group(0.5, new WeightDecay(0), List.of(a, b)).ranks(mpi.ranks()).build()) {
      if (size > 1) {
        adam.gradientsReady(List.of(last ? a : b));
        try {
          adam.step();
          throw new AssertionError("was not refused");
        } catch (IllegalStateException refused) {
          say(rank, refused.getMessage());
        }
      }
      for (int step = 1; step <= 3; step++) {
        a.gradient().fill((byte) 0);
        b.gradient().fill((byte) 0);
        a.gradient().setAtIndex(ValueLayout.JAVA_FLOAT, 999_999, rank + 1);
        b.gradient().setAtIndex(ValueLayout.JAVA_FLOAT, 0, 2 * rank + 1);
        adam.gradientsReady(List.of(b));
        adam.gradientsReady(List.of(a));
        double sumA = size * (size + 1) / 2.0;
        double sumB = (double) size * size;
        double norm = adam.stepClipped(Double.POSITIVE_INFINITY);
        if (norm != Math.sqrt(sumA * sumA + sumB * sumB)) {
          throw new AssertionError("the norm is " + norm);
        }
      }
      adam.gradientsReady(List.of(a));
      adam.gradientsReady(List.of(b));
    }
  }

  private Parameter parameter(String name, long numel) {
    return Parameter.of(name, arena.allocate(4 * numel, 64), arena.allocate(4 * numel, 64));
  }

  // --- Collectives that work. ---

  private static byte value(int from, int to, long index, int round) {
    return (byte) (31 * from + 17 * to + 7 * index + round + 1);
  }

  private MemorySegment filled(int from, int to, long bytes, int round) {
    MemorySegment data = arena.allocate(bytes);
    fill(data, from, to, round);
    return data;
  }

  private static void fill(MemorySegment data, int from, int to, int round) {
    for (long i = 0; i < data.byteSize(); i++) {
      data.set(ValueLayout.JAVA_BYTE, i, value(from, to, i, round));
    }
  }

  private static void check(MemorySegment data, int from, int to, int round) {
    for (long i = 0; i < data.byteSize(); i++) {
      byte found = data.get(ValueLayout.JAVA_BYTE, i);
      if (found != value(from, to, i, round)) {
        throw new AssertionError(
            "round %d, %d to %d: byte %d of %d is %d"
                .formatted(round, from, to, i, data.byteSize(), found));
      }
    }
  }

  private static void checkZero(MemorySegment data) {
    for (long i = 0; i < data.byteSize(); i++) {
      if (data.get(ValueLayout.JAVA_BYTE, i) != 0) {
        throw new AssertionError("byte " + i + " was written");
      }
    }
  }

  /** Returns the same counts on each rank: [from][to]. */
  private long[][] counts(int round) {
    Random random = new Random(round);
    long[][] counts = new long[size][size];
    for (int from = 0; from < size; from++) {
      for (int to = 0; to < size; to++) {
        counts[from][to] =
            switch (round) {
              case 0 -> 0;
              case 1 -> 1;
              case 2 -> to == size - 1 ? 70_001 : 0; // all to one
              case 3 -> from == 0 ? 70_001 : 0; // all from one
              default -> random.nextBoolean() ? random.nextInt(200) : random.nextInt(100_000);
            };
      }
    }
    return counts;
  }

  /** Slices in the order of the ranks from behind, with gaps between them. */
  private static Slices spread(long[] bytes) {
    long[] offsets = new long[bytes.length];
    long end = 3;
    for (int r = bytes.length - 1; r >= 0; r--) {
      offsets[r] = end;
      end += bytes[r] + 5;
    }
    return Slices.of(offsets, bytes);
  }

  private static long end(Slices slices) {
    long end = 0;
    for (int r = 0; r < slices.ranks(); r++) {
      end = Math.max(end, slices.offset(r) + slices.bytes(r));
    }
    return end;
  }

  private static MemorySegment slice(MemorySegment data, Slices slices, int r) {
    return data.asSlice(slices.offset(r), slices.bytes(r));
  }

  private void allToAll() {
    for (int round = 0; round < 8; round++) {
      long[][] counts = counts(round);
      Slices sends = spread(counts[rank]);
      Slices receives = spread(Arrays.stream(counts).mapToLong(row -> row[rank]).toArray());
      MemorySegment send = arena.allocate(end(sends) + 3);
      MemorySegment receive = arena.allocate(end(receives) + 3);
      for (int to = 0; to < size; to++) {
        fill(slice(send, sends, to), rank, to, round);
      }
      mpi.allToAll(send.asReadOnly(), sends, receive, receives);
      for (int from = 0; from < size; from++) {
        check(slice(receive, receives, from), from, rank, round);
        slice(receive, receives, from).fill((byte) 0);
      }
      checkZero(receive);
    }
  }

  private void gathers() {
    for (int round = 0; round < 6; round++) {
      Slices slices = spread(counts(round)[0]);
      MemorySegment all = arena.allocate(end(slices) + 3);
      fill(slice(all, slices, rank), rank, 0, round);
      mpi.allGather(all, slices);
      checkSlices(all, slices, round);

      MemorySegment own = filled(rank, 0, slices.bytes(rank), round);
      mpi.allGather(own, all, slices);
      checkSlices(all, slices, round);

      for (int root = 0; root < size; root++) {
        boolean receives = rank == root;
        mpi.gather(own, receives ? all : null, receives ? slices : null, root);
        if (receives) {
          checkSlices(all, slices, round);
        } else {
          checkZero(all);
        }
      }
    }
  }

  private void checkSlices(MemorySegment all, Slices slices, int round) {
    for (int from = 0; from < size; from++) {
      check(slice(all, slices, from), from, 0, round);
    }
    all.fill((byte) 0);
  }

  private void broadcasts() {
    for (int root = 0; root < size; root++) {
      for (int bytes : new int[] {0, 1, 70_001}) {
        MemorySegment data = arena.allocate(bytes);
        if (rank == root) {
          fill(data, root, 0, bytes);
        }
        mpi.broadcast(rank == root ? data.asReadOnly() : data, root);
        check(data, root, 0, bytes);
      }
    }
  }

  /** Each rank sends two parts to the rank below it and one to each rank above, in turn. */
  private void exchange() {
    List<Part> sends = new ArrayList<>();
    List<Part> receives = new ArrayList<>();
    for (int n = 0; n < 3; n++) {
      for (int other = 0; other < size; other++) {
        if (parts(rank, other) > n) {
          sends.add(new Part(other, filled(rank, other, 10_000L * n + other, n)));
        }
        if (parts(other, rank) > n) {
          receives.add(new Part(other, arena.allocate(10_000L * n + rank)));
        }
      }
    }
    mpi.exchange(sends, receives);
    int[] seen = new int[size];
    for (Part part : receives) {
      check(part.data(), part.rank(), rank, seen[part.rank()]++);
    }
    mpi.exchange(List.of(), List.of());
  }

  private static int parts(int from, int to) {
    return to == from - 1 ? 2 : to > from ? 1 : to == from ? 3 : 0;
  }

  /** Starts many collectives, and waits for them backwards and in several threads. */
  private void overlapping() throws InterruptedException {
    List<Pending> pending = new ArrayList<>();
    List<MemorySegment> data = new ArrayList<>();
    for (int round = 0; round < 20; round++) {
      int bytes = round % 3 == 0 ? 50_000 : 10 * round;
      long[] counts = new long[size];
      Arrays.fill(counts, bytes);
      MemorySegment all = arena.allocate((long) bytes * size);
      int root = round % size;
      if (round % 2 == 0) {
        fill(all.asSlice((long) rank * bytes, bytes), rank, 0, round);
        pending.add(mpi.startAllGather(all, Slices.packed(counts)));
      } else {
        if (rank == root) {
          fill(all, root, 0, round);
        }
        pending.add(mpi.startBroadcast(all, root));
      }
      data.add(all);
    }
    List<Thread> threads = new ArrayList<>();
    for (Pending one : pending.reversed()) {
      threads.add(Thread.ofPlatform().start(one::await));
    }
    Collections.shuffle(threads, new Random(rank));
    for (Thread thread : threads) {
      thread.join();
    }
    for (int round = 0; round < 20; round++) {
      pending.get(round).await();
      if (!pending.get(round).isDone()) {
        throw new AssertionError("not done");
      }
      MemorySegment all = data.get(round);
      long bytes = all.byteSize() / size;
      for (int from = 0; from < size; from++) {
        if (round % 2 == 0) {
          check(all.asSlice(from * bytes, bytes), from, 0, round);
        }
      }
      if (round % 2 == 1) {
        check(all, round % size, 0, round);
      }
    }
  }

  /** Messages that are cut into pieces: sampled, because there are many bytes. */
  private void large() {
    MemorySegment data = arena.allocate(LARGE);
    for (int i = 0; i < LARGE; i += 4097) {
      if (rank == 0) {
        data.set(ValueLayout.JAVA_BYTE, i, value(0, 0, i, 0));
      }
    }
    mpi.broadcast(data, 0);
    MemorySegment other = arena.allocate(LARGE);
    mpi.exchange(
        List.of(new Part((rank + 1) % size, data)),
        List.of(new Part((rank + size - 1) % size, other)));
    for (int i = 0; i < LARGE; i += 4097) {
      if (other.get(ValueLayout.JAVA_BYTE, i) != value(0, 0, i, 0)) {
        throw new AssertionError("byte " + i);
      }
    }
    if (other.mismatch(data) >= 0) {
      throw new AssertionError("differ");
    }
  }

  private static int length(String text) {
    return text.length();
  }

  /** The JVM turns SIGSEGV into exceptions; some libraries below MPI would end the process. */
  private void signals() {
    int caught = 0;
    for (int i = 0; i < 200_000; i++) {
      try {
        length(i % 1000 == 999 ? null : "text");
      } catch (NullPointerException e) {
        caught++;
      }
    }
    System.gc();
    if (caught != 200) {
      throw new AssertionError("caught " + caught);
    }
  }

  private static void afterClose(Mpi closed) {
    for (Runnable use :
        List.<Runnable>of(
            closed::barrier, () -> closed.broadcast(MemorySegment.NULL, 0), Mpi::init)) {
      try {
        use.run();
        throw new AssertionError("a closed Mpi was used");
      } catch (IllegalStateException e) {
        System.out.println("refused: " + e.getMessage());
      }
    }
  }

  // --- Jobs that end by failures. ---

  private Slices even(long bytes) {
    long[] counts = new long[size];
    Arrays.fill(counts, bytes);
    return Slices.packed(counts);
  }

  /** The last rank closes early, while the others wait or come later. */
  private void leave(String how, int bytes) throws InterruptedException {
    mpi.barrier();
    Slices slices = even(bytes);
    MemorySegment all = arena.allocate((long) bytes * size);
    mpi.allGather(all, slices);
    if (last) {
      Thread.sleep(rank * 50L);
      if (how.equals("pending")) {
        mpi.startAllGather(all, slices);
      }
      if (!how.equals("close")) {
        throw new IllegalStateException("something else");
      }
      return;
    }
    Thread.sleep(rank * 100L);
    MemorySegment more = arena.allocate((long) bytes * size);
    MemorySegment send = arena.allocate((long) bytes * size);
    Pending first = mpi.startAllGather(all, slices);
    Pending second = mpi.startAllToAll(send, slices, more, slices);
    Pending third = mpi.startBroadcast(arena.allocate(bytes), size - 1);
    try {
      third.await();
    } catch (MpiException e) {
      for (Pending pending : List.of(first, second)) {
        try {
          pending.await();
        } catch (MpiException again) {
          continue;
        }
      }
      throw e;
    }
  }

  private void kill() throws IOException, InterruptedException {
    mpi.barrier();
    if (last) {
      Thread.sleep(100);
      String self = String.valueOf(ProcessHandle.current().pid());
      new ProcessBuilder("kill", "-9", self).start().waitFor();
      Thread.sleep(60_000);
    }
    mpi.allGather(arena.allocate(100_000L * size), even(100_000));
  }

  private void exit(int status) throws InterruptedException {
    mpi.barrier();
    if (last) {
      System.exit(status);
    }
    mpi.barrier();
  }

  /** The last rank sends less than the others expect. */
  private void counts() {
    long[] counts = new long[size];
    Arrays.fill(counts, 1000);
    MemorySegment send = arena.allocate(1000L * size);
    MemorySegment receive = arena.allocate(1000L * size);
    Slices slices = Slices.packed(counts);
    counts[0] = last ? 990 : 1000;
    mpi.allToAll(send, Slices.of(slices(slices), counts), receive, slices);
    mpi.barrier();
  }

  private static long[] slices(Slices slices) {
    long[] offsets = new long[slices.ranks()];
    for (int r = 0; r < offsets.length; r++) {
      offsets[r] = slices.offset(r);
    }
    return offsets;
  }

  /** Rank 0 expects a message that the last rank never sends. */
  private void kinds() {
    if (rank == 0) {
      mpi.gather(arena.allocate(10), arena.allocate(10L * size), even(10), 0);
    } else {
      mpi.exchange(List.of(), List.of());
    }
  }

  /** The last rank closes an arena too early; the others wait for it meanwhile. */
  private void closedArena(String how) throws InterruptedException {
    mpi.barrier();
    if (!last) {
      Thread.sleep(60_000);
    }
    Pending pending;
    try (Arena inner = Arena.ofShared()) {
      pending = mpi.startBroadcast(inner.allocate(100_000), 0);
    }
    if (how.equals("close")) {
      return;
    }
    try {
      pending.await();
    } catch (IllegalStateException e) {
      if (how.equals("stay")) {
        say(rank, "stays");
        Thread.sleep(60_000);
      }
      throw e;
    }
  }

  /** Some of everything, for the tests in which a call of MPI fails. */
  private void fault() {
    MemorySegment all = arena.allocate(100_000L * size);
    Slices slices = even(100_000);
    for (int i = 0; i < 3; i++) {
      mpi.barrier();
      Pending first = mpi.startAllGather(all, slices);
      mpi.broadcast(arena.allocate(1000), 1);
      first.await();
    }
  }
}
