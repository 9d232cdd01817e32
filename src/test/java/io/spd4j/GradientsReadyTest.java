package io.spd4j;

import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.illegalState;
import static io.spd4j.Refusals.nullPointer;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * What announced gradients are good for, and what is refused. {@link RanksTest} compares the bits.
 */
class GradientsReadyTest {
  private static final int RANKS = 2;
  private static final long NUMEL = 10_000;

  private static final String DIFFER =
      "rank 1 and rank 0 are about to take different steps: they differ in ";
  private static final String CALL = DIFFER + "whether they step or announce gradients";
  private static final String ANNOUNCED =
      DIFFER + "which gradients they announced by gradientsReady, or in which order";

  private static final String BROKEN = "an earlier exchange with the other ranks broke off";

  /** An optimizer of one rank that steps a parameter "a" and one "b". */
  private static final class Case implements AutoCloseable {
    final Arena arena = Arena.ofShared();
    final Parameter a = Tensors.selected(arena, "a", 1, NUMEL);
    final Parameter b = Tensors.parameter(arena, "b", 2, 77);
    final CountedRanks ranks;
    final Adam adam;

    /** Whether this is rank 1. */
    final boolean other;

    Case(Ranks ranks) {
      this(ranks, 0);
    }

    /**
     * @param chunk the most bytes that are sent to a rank at once; 0 for the usual number
     */
    Case(Ranks ranks, long chunk) {
      this.ranks = new CountedRanks(ranks);
      other = ranks.rank() == 1;
      adam =
          Adam.builder()
              .ranks(this.ranks)
              .threads(1)
              .chunk(chunk)
              .group(0.1, new SelectiveProjectionDecay(1), List.of(a))
              .group(0.1, new WeightDecay(0.1), List.of(b))
              .build();
    }

    @Override
    public void close() {
      adam.close();
      arena.close();
    }
  }

  /** Counts the transfers of gradients, and may fail to start or to complete one. */
  private static final class CountedRanks extends WrappedRanks {
    int sent;
    int awaited;
    int failsIn = -1;
    int failsInAwait = -1;
    Error failure;

    /** Whether it tells of no transfer that it is done. */
    boolean silent;

    CountedRanks(Ranks ranks) {
      super(ranks);
    }

    @Override
    public Transfer allToAll(MemorySegment send, MemorySegment receive) {
      int number = sent++;
      if (number == failsIn) {
        throw new ArithmeticException("dies");
      }
      Transfer transfer = super.allToAll(send, receive);
      return new Transfer() {
        @Override
        public void await() {
          awaited++;
          if (number == failsInAwait) {
            throw failure;
          }
          transfer.await();
        }

        @Override
        public boolean isDone() {
          return !silent && transfer.isDone();
        }
      };
    }
  }

  private interface Job {
    void run(Case c) throws Exception;
  }

  private static void onEachRank(Job job) {
    onEachRank(0, job);
  }

  private static void onEachRank(long chunk, Job job) {
    ThreadRanks.run(
        RANKS,
        ranks -> {
          try (Case c = new Case(ranks, chunk)) {
            job.run(c);
          }
          return null;
        });
  }

  /** Returns an optimizer's state after a step in which nothing was announced. */
  private static List<State> plainStep(double maxNorm) {
    return ThreadRanks.run(
        RANKS,
        ranks -> {
          try (Case c = new Case(ranks)) {
            c.adam.stepClipped(maxNorm);
            return State.of(c.adam);
          }
        });
  }

  @Test
  void sendsBeforeTheStepAndWritesInIt() {
    List<State> plain = plainStep(1);
    onEachRank(c -> {
      State before = State.of(c.adam);
      c.adam.gradientsReady(List.of(c.b));
      assertThat(c.ranks.sent).isZero(); // until the others have said the same
      c.adam.gradientsReady(List.of(c.a));
      assertThat(c.ranks.sent).isEqualTo(1);
      c.adam.gradientsReady(List.of());
      assertThat(c.ranks.sent).isEqualTo(2);
      double norm = c.adam.gradientNorm();
      assertThat(c.ranks.sent).isEqualTo(2);
      assertThat(State.of(c.adam)).isEqualTo(before);
      assertThat(c.adam.stepClipped(1)).isEqualTo(norm);
      assertThat(c.ranks.sent).isEqualTo(2);
      assertThat(State.of(c.adam)).isEqualTo(plain.get(c.ranks.rank()));
      c.adam.gradientsReady(List.of(c.a)); // of the next step
      c.adam.step();
    });
  }

  @Test
  void argumentsAreRefused() {
    onEachRank(c -> {
      Parameter foreign = Tensors.parameter(c.arena, "c", 3, 3);
      nullPointer("parameters is null", () -> c.adam.gradientsReady(null));
      nullPointer("parameter is null", () -> c.adam.gradientsReady(Arrays.asList(c.a, null)));
      illegalArgument(
          "c is not a parameter of this optimizer",
          () -> c.adam.gradientsReady(List.of(c.a, foreign)));
      illegalArgument(
          "a is given twice to gradientsReady", () -> c.adam.gradientsReady(List.of(c.a, c.a)));
      c.adam.gradientsReady(List.of(c.a));
      illegalArgument(
          "a is announced twice for one step", () -> c.adam.gradientsReady(List.of(c.b, c.a)));
      c.adam.gradientsReady(List.of(c.b));
      illegalArgument(
          "a is announced twice for one step", () -> c.adam.gradientsReady(List.of(c.a)));
      c.adam.step();
      assertThat(State.steps(c.adam)).containsExactly(1L, 1L);
      c.adam.close();
      illegalState("the optimizer is closed", () -> c.adam.gradientsReady(List.of(c.a)));
    });
  }

  @Test
  void oneProcessChecksItsArguments() {
    try (Arena arena = Arena.ofConfined()) {
      Parameter a = Tensors.parameter(arena, "a", 1, 5);
      Parameter b = Tensors.parameter(arena, "b", 1, 5);
      try (Adam adam = Adam.builder().threads(1).group(0.1, new NoDecay(), List.of(a)).build()) {
        illegalArgument(
            "a is given twice to gradientsReady", () -> adam.gradientsReady(List.of(a, a)));
        illegalArgument(
            "b is not a parameter of this optimizer", () -> adam.gradientsReady(List.of(b)));
        adam.gradientsReady(List.of(a));
        a.gradient(arena.allocate(20, 4));
        adam.step();
      }
    }
  }

  /** A hook can give a whole layer. */
  @Test
  void whatIsNotSteppedIsLeftOut() {
    onEachRank(c -> {
      MemorySegment gradient = c.a.gradient();
      c.a.gradient(null);
      c.adam.groups().getLast().frozen(true);
      c.adam.gradientsReady(List.of(c.a, c.b));
      c.adam.gradientsReady(List.of(c.b, c.a));
      c.a.gradient(gradient);
      c.adam.gradientsReady(List.of(c.a));
      c.adam.gradientsReady(List.of());
      assertThat(c.ranks.sent).isEqualTo(1);
      c.adam.groups().getLast().frozen(false); // is sent in the step
      c.adam.step();
      assertThat(c.ranks.sent).isEqualTo(2);
      assertThat(State.steps(c.adam)).containsExactly(1L, 1L);
    });
  }

  @Test
  void whatIsFrozenAfterwardsStays() {
    onEachRank(c -> {
      byte[] data = c.b.data().toArray(JAVA_BYTE);
      byte[] gradient = c.b.gradient().toArray(JAVA_BYTE);
      c.adam.gradientsReady(List.of(c.a, c.b));
      c.adam.groups().getLast().frozen(true);
      c.adam.step();
      assertThat(State.steps(c.adam)).containsExactly(1L, 0L);
      assertThat(c.b.data().toArray(JAVA_BYTE)).isEqualTo(data);
      assertThat(c.b.gradient().toArray(JAVA_BYTE)).isEqualTo(gradient);
      c.adam.groups().getLast().frozen(false);
      c.adam.gradientsReady(List.of(c.b)); // was not announced for this step
      c.adam.step();
      assertThat(State.steps(c.adam)).containsExactly(2L, 1L);
    });
  }

  @Test
  void anAnnouncedGradientIsNotReplaced() {
    onEachRank(c -> {
      String message =
          "gradient of b is announced for the next step, which must be taken before it is replaced";
      MemorySegment gradient = c.b.gradient();
      MemorySegment another = Tensors.copy(c.arena, gradient);
      c.adam.gradientsReady(List.of(c.b));
      illegalState(message, () -> c.b.gradient(another));
      illegalState(message, () -> c.b.gradient(null));
      assertThat(c.b.gradient()).isEqualTo(gradient);
      c.adam.step();
      c.b.gradient(another);
      c.adam.step();
    });
  }

  @Test
  void announcementsThatDifferAreRefusedOnAllRanks() {
    List<State> plain = plainStep(Double.POSITIVE_INFINITY);
    onEachRank(c -> {
      State before = State.of(c.adam);
      c.adam.gradientsReady(List.of(c.other ? c.a : c.b));
      illegalState(ANNOUNCED, c.adam::step);
      c.adam.gradientsReady(List.of(c.other ? c.a : c.b)); // is not announced
      illegalState(ANNOUNCED, () -> c.adam.gradientsReady(List.of(c.other ? c.b : c.a)));
      c.adam.gradientsReady(List.of(c.b));
      c.adam.gradientsReady(c.other ? List.of(c.a) : List.of());
      illegalState(ANNOUNCED, () -> c.adam.stepClipped(1));
      assertThat(State.of(c.adam)).isEqualTo(before);
      c.adam.gradientsReady(List.of(c.a));
      c.adam.stepClipped(Double.POSITIVE_INFINITY);
      assertThat(State.of(c.adam)).isEqualTo(plain.get(c.ranks.rank()));
    });
  }

  @Test
  void aRankThatAnnouncesWhileTheOtherSteps() {
    List<State> plain = plainStep(Double.POSITIVE_INFINITY);
    onEachRank(c -> {
      State before = State.of(c.adam);
      c.adam.gradientsReady(List.of(c.b));
      if (c.other) {
        c.adam.gradientsReady(List.of(c.a));
      } else {
        illegalState(CALL, c.adam::step);
      }
      // The other rank hears of it one call later. Nothing was sent that nobody waits for.
      if (c.other) {
        illegalState(CALL, c.adam::step);
      }
      assertThat(State.of(c.adam)).isEqualTo(before);
      c.adam.stepClipped(Double.POSITIVE_INFINITY);
      assertThat(State.of(c.adam)).isEqualTo(plain.get(c.ranks.rank()));
    });
  }

  @Test
  void aRefusedStepLeavesTheAnnouncement() {
    List<State> plain = plainStep(Double.POSITIVE_INFINITY);
    onEachRank(c -> {
      State before = State.of(c.adam);
      c.adam.gradientsReady(List.of(c.a));
      c.adam.groups().getLast().lr(c.other ? 0.2 : 0.1);
      illegalState(DIFFER + "the settings of the groups", c.adam::step);
      assertThat(State.of(c.adam)).isEqualTo(before);
      illegalArgument(
          "a is announced twice for one step", () -> c.adam.gradientsReady(List.of(c.a)));
      c.adam.groups().getLast().lr(0.1);
      c.adam.stepClipped(Double.POSITIVE_INFINITY);
      assertThat(c.ranks.sent).isEqualTo(2); // a once, b once
      assertThat(State.of(c.adam)).isEqualTo(plain.get(c.ranks.rank()));
    });
  }

  @Test
  void aClosedArenaIsRefusedBeforeAnythingIsSent() {
    onEachRank(c -> {
      try (Arena short_ = Arena.ofShared()) {
        c.b.gradient(Tensors.copy(short_, c.b.gradient()));
      }
      String message = "gradient of b lies in an arena that is closed";
      illegalState(message, () -> c.adam.gradientsReady(List.of(c.a, c.b)));
      c.adam.gradientsReady(List.of(c.a));
      illegalState(message, c.adam::step);
      c.b.gradient(null);
      c.adam.step();
      assertThat(State.steps(c.adam)).containsExactly(1L, 0L);
    });
  }

  @Test
  void closingLeavesTheRanksInOrder() {
    onEachRank(c -> {
      c.adam.gradientsReady(List.of(c.a));
      c.adam.gradientsReady(List.of(c.b)); // is not compared yet, and a is not added up
      c.adam.close();
      try (Case next = new Case(c.ranks.ranks)) {
        next.adam.gradientsReady(List.of(next.b));
        next.adam.step();
        assertThat(State.steps(next.adam)).containsExactly(1L, 1L);
      }
    });
  }

  @Test
  void aRankThatDies() {
    AtomicInteger survivors = new AtomicInteger();
    assertThatThrownBy(() ->
            onEachRank(c -> {
              c.adam.gradientsReady(List.of(c.a));
              if (c.other) {
                throw new ArithmeticException("dies");
              }
              assertThatIllegalStateException()
                  .isThrownBy(c.adam::step)
                  .withMessage("another rank has failed");
              survivors.incrementAndGet();
            }))
        .isInstanceOf(ArithmeticException.class);
    assertThat(survivors).hasValue(RANKS - 1);
  }

  /** What was announced is then sent by half, so no step may use it. */
  @Test
  void aFailureWhileGradientsAreSent() {
    AtomicInteger refused = new AtomicInteger();
    assertThatThrownBy(() ->
            onEachRank(c -> {
              c.ranks.failsIn = c.other ? 0 : -1;
              c.adam.gradientsReady(List.of(c.a));
              try {
                c.adam.gradientsReady(List.of(c.b));
              } catch (ArithmeticException e) {
                illegalState(BROKEN, c.adam::step);
                illegalState(BROKEN, () -> c.adam.gradientsReady(List.of()));
                refused.incrementAndGet();
                throw e;
              }
              illegalState("another rank has failed", c.adam::step);
              refused.incrementAndGet();
            }))
        .isInstanceOf(ArithmeticException.class);
    assertThat(refused).hasValue(RANKS);
  }

  /** What has arrived is lost then, so no step may use it. */
  @Test
  void aFailureWhileGradientsArrive() {
    AssertionError failure = new AssertionError("dies");
    AtomicInteger refused = new AtomicInteger();
    assertThatThrownBy(() ->
            onEachRank(c -> {
              c.ranks.failsInAwait = c.other ? 0 : -1;
              c.ranks.failure = failure;
              c.ranks.silent = true;
              c.adam.gradientsReady(List.of(c.a));
              c.adam.gradientsReady(List.of(c.b)); // sends a
              c.ranks.silent = false; // a arrives with the next announcement
              if (c.other) {
                assertThatThrownBy(() -> c.adam.gradientsReady(List.of())).isSameAs(failure);
                illegalState(BROKEN, c.adam::step);
                illegalState(BROKEN, c.adam::gatherLow);
                illegalState(BROKEN, () -> c.adam.gradientsReady(List.of()));
                refused.incrementAndGet();
                throw failure;
              }
              c.adam.gradientsReady(List.of());
              illegalState("another rank has failed", c.adam::step);
              refused.incrementAndGet();
            }))
        .isSameAs(failure);
    assertThat(refused).hasValue(RANKS);
  }

  /** As a transfer outside of the steps: the optimizer would go on without what has arrived. */
  @Test
  void aFailureWhileTheLowHalvesAreGathered() {
    AtomicInteger refused = new AtomicInteger();
    assertThatThrownBy(() ->
            onEachRank(c -> {
              c.ranks.failsInAwait = c.other ? 0 : -1;
              c.ranks.failure = new AssertionError("dies");
              c.ranks.silent = true;
              c.adam.gradientsReady(List.of(c.a));
              c.adam.gradientsReady(List.of());
              if (c.other) {
                assertThatThrownBy(c.adam::gatherLow).isSameAs(c.ranks.failure);
                illegalState(BROKEN, () -> c.adam.gradientsReady(List.of()));
                illegalState(BROKEN, c.adam::step);
                refused.incrementAndGet();
                throw c.ranks.failure;
              }
            }))
        .hasMessage("dies");
    assertThat(refused).hasValue(1);
  }

  @Test
  void aFailureAtTheEndFreesTheMoments() {
    onEachRank(c -> {
      c.ranks.failsInAwait = c.other ? 0 : -1;
      c.ranks.failure = new AssertionError("dies");
      c.ranks.silent = true;
      c.adam.gradientsReady(List.of(c.a));
      c.adam.gradientsReady(List.of());
      if (c.other) {
        assertThatThrownBy(c.adam::close).isSameAs(c.ranks.failure);
      } else {
        c.adam.close();
      }
      assertThat(c.a.expAvg().scope().isAlive()).isFalse();
    });
  }

  /** The arrays belong to the caller then. */
  @Test
  void closingWritesNoGradient() {
    AtomicInteger closed = new AtomicInteger();
    assertThatThrownBy(() ->
            onEachRank(
                4096,
                c -> {
                  c.ranks.failsIn = c.other ? 1 : -1;
                  byte[] gradient = c.a.gradient().toArray(JAVA_BYTE);
                  if (!c.other) {
                    illegalState("another rank has failed", c.adam::step);
                    return;
                  }
                  assertThatThrownBy(c.adam::step).isInstanceOf(ArithmeticException.class);
                  c.adam.close();
                  assertThat(c.a.gradient().toArray(JAVA_BYTE)).isEqualTo(gradient);
                  closed.incrementAndGet();
                  throw new ArithmeticException("dies");
                }))
        .isInstanceOf(ArithmeticException.class);
    assertThat(closed).hasValue(1);
  }

  @Test
  void theArenaOfAnAnnouncedGradientIsClosed() {
    onEachRank(c -> {
      try (Arena short_ = Arena.ofShared()) {
        c.b.gradient(Tensors.copy(short_, c.b.gradient()));
        c.adam.gradientsReady(List.of(c.b));
      }
      illegalState("gradient of b lies in an arena that is closed", c.adam::step);
      illegalState(
          "gradient of b was announced, but its arena is closed: no step can be taken any more",
          () -> c.b.gradient(null));
    });
  }

  /** Each takes the memory that it needs, not that of the largest chunk. */
  @Test
  void manySmallAnnouncementsWaitForNobody() {
    ThreadRanks.run(
        RANKS,
        ranks -> {
          CountedRanks counted = new CountedRanks(ranks);
          counted.silent = true;
          try (Arena arena = Arena.ofShared()) {
            List<Parameter> all =
                IntStream.range(0, 50)
                    .mapToObj(i -> Tensors.parameter(arena, "p" + i, i, 77))
                    .toList();
            try (Adam adam =
                Adam.builder().ranks(counted).threads(1).group(0.1, new NoDecay(), all).build()) {
              all.forEach(p -> adam.gradientsReady(List.of(p)));
              assertThat(counted.sent).isEqualTo(all.size() - 1);
              assertThat(counted.awaited).isZero();
              adam.step();
              assertThat(counted.awaited).isEqualTo(all.size());
            }
          }
          return null;
        });
  }

  /**
   * What the JVM grants to direct buffers does not count: by default it is as large as the heap.
   */
  @Test
  void moreGradientsThanDirectMemory(@TempDir Path folder) throws Exception {
    List<String> flags = List.of("-XX:MaxDirectMemorySize=4m", "-Xmx256m");
    assertThat(FreshJvm.run(folder, flags, LargeModel.class)).contains("stepped");
  }

  /** Announces and steps gradients of 16 MiB on each rank. */
  static final class LargeModel {
    private LargeModel() {}

    public static void main(String[] args) {
      ThreadRanks.run(
          RANKS,
          ranks -> {
            try (Arena arena = Arena.ofShared()) {
              List<Parameter> all =
                  IntStream.range(0, 4).mapToObj(i -> zeros(arena, "p" + i, 1 << 20)).toList();
              try (Adam adam = Adam.builder().ranks(ranks).group(0.1, new NoDecay(), all).build()) {
                all.forEach(p -> adam.gradientsReady(List.of(p)));
                adam.step();
              }
            }
            return null;
          });
      System.out.println("stepped");
    }

    private static Parameter zeros(Arena arena, String name, int numel) {
      return Parameter.builder(name, arena.allocate(4L * numel, 4))
          .gradient(arena.allocate(4L * numel, 4))
          .build();
    }
  }
}
