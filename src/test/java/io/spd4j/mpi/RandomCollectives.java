package io.spd4j.mpi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;

/**
 * Random collectives, some of which overlap. All ranks plan the same ones from the same seed; when
 * a rank starts them, and when and in which thread it waits for them, is its own.
 */
final class RandomCollectives {
  /** How many can overlap. */
  private static final int MOST_STARTED = 6;

  /** A prime, so that no two pieces of a large message are the same. */
  private static final int PATTERN_BYTES = 4093;

  private enum Kind {
    BARRIER,
    BROADCAST,
    ALL_GATHER,
    ALL_GATHER_IN_PLACE,
    GATHER,
    ALL_TO_ALL,
    EXCHANGE
  }

  /** A collective that was started, and what its memory must hold at its end. */
  private record Started(
      String what, Pending pending, Arena arena, MemorySegment data, MemorySegment expected) {
    void finish(boolean elsewhere) {
      if (elsewhere) {
        CompletableFuture.runAsync(pending::await).join();
      } else {
        pending.await();
      }
      long differs = data.mismatch(expected);
      if (differs >= 0) {
        throw new AssertionError("%s: byte %d is wrong".formatted(what, differs));
      }
      arena.close();
    }
  }

  private final Mpi mpi;
  private final int rank;
  private final int size;
  private final SplittableRandom plan;
  private final SplittableRandom own;
  private final List<Started> started = new ArrayList<>();

  RandomCollectives(Mpi mpi, long seed) {
    this.mpi = mpi;
    rank = mpi.rank();
    size = mpi.size();
    plan = new SplittableRandom(seed);
    own = new SplittableRandom(seed + 1 + rank);
  }

  void run(int number) throws InterruptedException {
    for (int i = 0; i < number; i++) {
      if (own.nextInt(4) == 0) {
        Thread.sleep(own.nextInt(4));
      }
      start(i);
      while (!started.isEmpty() && (started.size() == MOST_STARTED || own.nextBoolean())) {
        finishOne();
      }
    }
    while (!started.isEmpty()) {
      finishOne();
    }
  }

  private void finishOne() {
    started.remove(own.nextInt(started.size())).finish(own.nextInt(8) == 0);
  }

  private void start(int number) {
    Kind kind = Kind.values()[plan.nextInt(Kind.values().length)];
    int root = plan.nextInt(size);
    if (kind == Kind.BARRIER) {
      mpi.barrier();
      return;
    }
    long[][] bytes = bytes();
    Arena arena = Arena.ofShared();
    Started one =
        switch (kind) {
          case BROADCAST -> broadcast(arena, number, bytes[0][0], root);
          case ALL_GATHER -> allGather(arena, number, bytes[0]);
          case ALL_GATHER_IN_PLACE -> allGatherInPlace(arena, number, bytes[0]);
          case GATHER -> gather(arena, number, bytes[0], root);
          case ALL_TO_ALL -> allToAll(arena, number, bytes);
          default -> exchange(arena, number, bytes);
        };
    started.add(one);
  }

  /** Returns how many bytes each rank has for each other. */
  private long[][] bytes() {
    long[][] bytes = new long[size][size];
    for (long[] row : bytes) {
      Arrays.setAll(
          row,
          to ->
              switch (plan.nextInt(4)) {
                case 0 -> 0;
                case 1 -> plan.nextInt(200);
                default -> plan.nextInt(100_000);
              });
    }
    if (plan.nextInt(12) == 0) { // several pieces, of which the last is small
      long pieces = Transfer.MOST_BYTES * (1L + plan.nextInt(2));
      int from = plan.nextBoolean() ? 0 : plan.nextInt(size); // most kinds use only row 0
      int to = plan.nextBoolean() ? 0 : plan.nextInt(size);
      bytes[from][to] = pieces + plan.nextInt(5000);
    }
    return bytes;
  }

  /** Slices in the order of the ranks, with gaps between them. */
  private Slices spread(long[] bytes) {
    long[] offsets = new long[bytes.length];
    long end = 0;
    for (int r = 0; r < bytes.length; r++) {
      offsets[r] = end + plan.nextInt(9);
      end = offsets[r] + bytes[r];
    }
    return Slices.of(offsets, bytes);
  }

  private static long end(Slices slices) {
    int last = slices.ranks() - 1;
    return slices.offset(last) + slices.bytes(last) + 5;
  }

  private static MemorySegment slice(MemorySegment data, Slices slices, int r) {
    return data.asSlice(slices.offset(r), slices.bytes(r));
  }

  /** Writes what one rank sends to another. */
  private static void fill(MemorySegment data, int from, int to, int number) {
    byte[] pattern = new byte[PATTERN_BYTES];
    new SplittableRandom((number * 64L + from) * 64 + to).nextBytes(pattern);
    MemorySegment source = MemorySegment.ofArray(pattern);
    for (long begin = 0; begin < data.byteSize(); begin += PATTERN_BYTES) {
      long bytes = Math.min(data.byteSize() - begin, PATTERN_BYTES);
      MemorySegment.copy(source, 0, data, begin, bytes);
    }
  }

  private static MemorySegment filled(Arena arena, long bytes, int from, int to, int number) {
    MemorySegment data = arena.allocate(bytes);
    fill(data, from, to, number);
    return data;
  }

  /** Returns the slices that each rank sends to one, and zeros between them. */
  private MemorySegment received(Arena arena, Slices slices, int to, int number) {
    MemorySegment all = arena.allocate(end(slices));
    for (int from = 0; from < size; from++) {
      fill(slice(all, slices, from), from, to, number);
    }
    return all;
  }

  private Started broadcast(Arena arena, int number, long bytes, int root) {
    MemorySegment expected = filled(arena, bytes, root, 0, number);
    MemorySegment data = arena.allocate(bytes);
    if (rank == root) {
      data.copyFrom(expected);
    }
    Pending pending = mpi.startBroadcast(rank == root ? data.asReadOnly() : data, root);
    return new Started("broadcast " + number, pending, arena, data, expected);
  }

  private Started allGather(Arena arena, int number, long[] bytes) {
    Slices slices = spread(bytes);
    MemorySegment send = filled(arena, bytes[rank], rank, 0, number).asReadOnly();
    MemorySegment data = arena.allocate(end(slices));
    Pending pending = mpi.startAllGather(send, data, slices);
    return new Started(
        "allGather " + number, pending, arena, data, received(arena, slices, 0, number));
  }

  private Started allGatherInPlace(Arena arena, int number, long[] bytes) {
    Slices slices = spread(bytes);
    MemorySegment data = arena.allocate(end(slices));
    fill(slice(data, slices, rank), rank, 0, number);
    Pending pending = mpi.startAllGather(data, slices);
    return new Started(
        "allGather in place " + number, pending, arena, data, received(arena, slices, 0, number));
  }

  private Started gather(Arena arena, int number, long[] bytes, int root) {
    Slices slices = spread(bytes);
    MemorySegment send = filled(arena, bytes[rank], rank, 0, number).asReadOnly();
    if (rank != root) {
      Pending pending = mpi.startGather(send, null, null, root);
      return new Started(
          "gather " + number, pending, arena, MemorySegment.NULL, MemorySegment.NULL);
    }
    MemorySegment data = arena.allocate(end(slices));
    Pending pending = mpi.startGather(send, data, slices, root);
    return new Started(
        "gather " + number, pending, arena, data, received(arena, slices, 0, number));
  }

  private Started allToAll(Arena arena, int number, long[][] bytes) {
    Slices sends = spread(bytes[rank]);
    Slices receives = spread(toThis(bytes));
    MemorySegment send = arena.allocate(end(sends));
    for (int to = 0; to < size; to++) {
      fill(slice(send, sends, to), rank, to, number);
    }
    MemorySegment data = arena.allocate(end(receives));
    Pending pending = mpi.startAllToAll(send.asReadOnly(), sends, data, receives);
    return new Started(
        "allToAll " + number, pending, arena, data, received(arena, receives, rank, number));
  }

  /** Each rank sends what it has for another in two parts, the ranks in an order of its own. */
  private Started exchange(Arena arena, int number, long[][] bytes) {
    Slices receives = spread(toThis(bytes));
    MemorySegment data = arena.allocate(end(receives));
    List<Part> sent = new ArrayList<>();
    List<Part> received = new ArrayList<>();
    int first = own.nextInt(size);
    for (int i = 0; i < size; i++) {
      int other = (first + i) % size;
      halve(sent, other, filled(arena, bytes[rank][other], rank, other, number).asReadOnly());
      halve(received, other, slice(data, receives, other));
    }
    Pending pending = mpi.startExchange(sent, received);
    return new Started(
        "exchange " + number, pending, arena, data, received(arena, receives, rank, number));
  }

  private static void halve(List<Part> parts, int other, MemorySegment data) {
    long half = data.byteSize() / 2;
    parts.add(new Part(other, data.asSlice(0, half)));
    parts.add(new Part(other, data.asSlice(half)));
  }

  private long[] toThis(long[][] bytes) {
    return Arrays.stream(bytes).mapToLong(row -> row[rank]).toArray();
  }
}
