package io.spd4j;

import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.illegalState;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What several ranks refuse, and that a fault of one rank is an exception on all of them. */
class RanksMisuseTest {
  private static final int RANKS = 2;
  private static final long NUMEL = 10_000;

  /** What one rank does with an optimizer that steps a parameter "a" and one "b". */
  private interface Job {
    void run(Adam adam, Ranks ranks) throws Exception;
  }

  private static void onEachRank(Job job) {
    ThreadRanks.run(
        RANKS,
        ranks -> {
          try (Arena arena = Arena.ofShared();
              Adam adam = adam(ranks, arena, b -> {})) {
            job.run(adam, ranks);
          }
          return null;
        });
  }

  private static Adam adam(Ranks ranks, Arena arena, Consumer<Adam.Builder> more) {
    Adam.Builder builder =
        Adam.builder()
            .ranks(ranks)
            .threads(1)
            .group(0.1, new SelectiveProjectionDecay(1), List.of(a(arena)))
            .group(0.1, new WeightDecay(0.1), List.of(b(arena)));
    more.accept(builder);
    return builder.build();
  }

  private static Parameter a(Arena arena) {
    return Tensors.selected(arena, "a", 1, NUMEL);
  }

  private static Parameter b(Arena arena) {
    return Tensors.parameter(arena, "b", 2, 77);
  }

  private static Parameter c(Arena arena) {
    return Tensors.parameter(arena, "c", 3, 3);
  }

  @Test
  void ranksAddInPairs() {
    Ranks three =
        new WrappedRanks(null) {
          @Override
          public int size() {
            return 3;
          }
        };
    String message = "the number of ranks must be a power of two, not 3: gradients add in pairs";
    illegalArgument(message, () -> Adam.builder().ranks(three));
    illegalArgument(message, () -> GradientTree.of(List.of(), 8, three));
  }

  @Test
  void momentsOfTheCaller() {
    refused(
        p -> p.moments(Arena.ofAuto().allocate(12, 4), Arena.ofAuto().allocate(12, 4)),
        "moments of c are given, but each rank allocates those of its shard: to continue a"
            + " training, restore a checkpoint");
  }

  @Test
  void gradientsThatCannotBeWritten() {
    refused(
        p -> p.gradient(Arena.ofAuto().allocate(12, 4).asReadOnly()),
        "gradient of c is read-only, but the gradients of all ranks add up in it");
    MemorySegment shared = Arena.ofAuto().allocate(12, 4);
    refused(p -> p.gradient(shared).anchor(shared), "anchor of c overlaps gradient of c");
  }

  private static void refused(UnaryOperator<Parameter.Builder> change, String message) {
    ThreadRanks.run(
        RANKS,
        ranks -> {
          Parameter c =
              change.apply(Parameter.builder("c", Arena.ofAuto().allocate(12, 4))).build();
          illegalArgument(
              message,
              () -> Adam.builder().ranks(ranks).group(0.1, new NoDecay(), List.of(c)).build());
          return null;
        });
  }

  @Test
  void gradientsThatAreReplaced() {
    onEachRank((adam, ranks) -> {
      Parameter a = adam.parameters().getFirst();
      Parameter b = adam.parameters().getLast();
      MemorySegment first = a.gradient();
      MemorySegment ofB = b.gradient();
      illegalArgument(
          "gradient of b is read-only, but the gradients of all ranks add up in it",
          () -> b.gradient(ofB.asReadOnly()));
      illegalArgument(
          "gradient of b overlaps gradient of a",
          () -> b.gradient(first.asSlice(0, ofB.byteSize())));
      illegalArgument("gradient of b overlaps anchor of b", () -> b.gradient(b.anchor()));
      assertThat(b.gradient()).isEqualTo(ofB);
      a.gradient(null);
      b.gradient(first.asSlice(0, ofB.byteSize())); // free now
      illegalArgument("gradient of a overlaps gradient of b", () -> a.gradient(first));
      b.gradient(ofB);
      a.gradient(first);
      adam.step();
      assertThat(State.steps(adam)).containsExactly(1L, 1L);
    });
  }

  @Test
  void whatNeedsWholeParameters() {
    onEachRank((adam, ranks) -> {
      Parameter a = adam.parameters().getFirst();
      illegalState(
          "several ranks step all parameters together: call step() or one that clips",
          () -> adam.stepParameter(a));
      illegalState(
          "no parameter can join an optimizer of several ranks, whose shards are cut when it is"
              + " built",
          () -> adam.addParameter(adam.groups().getFirst(), c(Arena.ofAuto())));
      adam.step();
      assertThat(a.step()).isEqualTo(1);
    });
  }

  @Test
  void optimizersThatDiffer() {
    differ(
        "the parameters' names, order, sizes or types",
        (builder, arena) -> builder.group(0.1, new NoDecay(), List.of(c(arena))));
    differ("the settings of the groups or the seed", (builder, arena) -> builder.seed(1));
    ThreadRanks.run(
        RANKS,
        ranks -> {
          try (Arena arena = Arena.ofShared()) {
            Parameter a = a(arena);
            if (ranks.rank() == 1) {
              a.data().fill((byte) 1);
            }
            illegalState(
                "the ranks differ in the values of the parameters",
                () -> Adam.builder().ranks(ranks).group(0.1, new NoDecay(), List.of(a)).build());
            Parameter b = b(arena);
            if (ranks.rank() == 1) {
              b.anchor().fill((byte) 1);
            }
            illegalState(
                "the ranks differ in the values of the anchors",
                () -> Adam.builder().ranks(ranks).group(0.1, new NoDecay(), List.of(b)).build());
          }
          return null;
        });
  }

  /** Makes rank 1 build another optimizer. */
  private static void differ(String what, BiConsumer<Adam.Builder, Arena> change) {
    ThreadRanks.run(
        RANKS,
        ranks -> {
          try (Arena arena = Arena.ofShared()) {
            illegalState(
                "the ranks differ in " + what,
                () ->
                    adam(
                        ranks,
                        arena,
                        builder -> {
                          if (ranks.rank() == 1) {
                            change.accept(builder, arena);
                          }
                        }));
          }
          return null;
        });
  }

  @Test
  void stepsThatDiffer() {
    onEachRank((adam, ranks) -> {
      State before = State.of(adam);
      boolean other = ranks.rank() == 1;
      ParameterGroup group = adam.groups().getLast();
      group.lr(other ? 0.2 : 0.1);
      String differ = "rank 1 and rank 0 are about to take different steps: they differ in ";
      illegalState(differ + "the settings of the groups", adam::step);
      group.lr(0.1);
      group.frozen(other);
      String stepped = differ + "which parameters have a gradient and are not frozen";
      illegalState(stepped, adam::step);
      group.frozen(false);
      Parameter a = adam.parameters().getFirst();
      MemorySegment gradient = a.gradient();
      a.gradient(other ? null : gradient);
      illegalState(stepped, () -> adam.stepClipped(1));
      a.gradient(gradient);
      String kind = differ + "the kind of step, its gradScale or its maxNorm";
      illegalState(kind, () -> adam.step(other ? 2 : 1));
      illegalState(kind, () -> adam.stepClipped(other ? 2 : 1));
      illegalState(kind, () -> adam.stepClipped(other ? 2 : 0.5, other ? 2 : 0.5));
      illegalState(kind, () -> adam.stepClipped(other ? 2 : 0.5, other ? 0.5 : 2));
      illegalState(
          kind,
          () -> {
            if (other) {
              adam.gradientNorm();
            } else {
              adam.step();
            }
          });
      assertThat(State.of(adam)).isEqualTo(before);
      adam.step();
      assertThat(State.steps(adam)).containsExactly(1L, 1L);
    });
  }

  @Test
  void aRankThatDies() {
    AtomicInteger survivors = new AtomicInteger();
    assertThatThrownBy(() ->
            onEachRank((adam, ranks) -> {
              adam.step();
              if (ranks.rank() == 1) {
                throw new ArithmeticException("dies");
              }
              assertThatIllegalStateException()
                  .isThrownBy(adam::step)
                  .withMessage("another rank has failed");
              survivors.incrementAndGet();
            }))
        .isInstanceOf(ArithmeticException.class);
    assertThat(survivors).hasValue(RANKS - 1);
  }

  /** The others cannot go on, as their gradients may be half exchanged. */
  @Test
  void aRankThatDiesWithinAStep() {
    AtomicInteger survivors = new AtomicInteger();
    assertThatThrownBy(() ->
            ThreadRanks.run(
                RANKS,
                ranks -> {
                  try (Arena arena = Arena.ofShared();
                      Adam adam = adam(dying(ranks), arena, b -> {})) {
                    if (ranks.rank() == 1) {
                      adam.step();
                    }
                    illegalState("another rank has failed", adam::step);
                    illegalState("an earlier step broke off half done", adam::step);
                    survivors.incrementAndGet();
                  }
                  return null;
                }))
        .isInstanceOf(ArithmeticException.class);
    assertThat(survivors).hasValue(RANKS - 1);
  }

  /** Makes rank 1 fail when it sends gradients. */
  private static Ranks dying(Ranks ranks) {
    return new WrappedRanks(ranks) {
      @Override
      public Transfer allToAll(MemorySegment send, MemorySegment receive) {
        if (rank() == 1) {
          throw new ArithmeticException("dies");
        }
        return super.allToAll(send, receive);
      }
    };
  }

  @Test
  void aCheckpointThatCannotBeWritten(@TempDir Path folder) {
    Path nowhere = folder.resolve("missing").resolve("state");
    onEachRank((adam, ranks) -> {
      adam.step();
      var refused = assertThatIOException().isThrownBy(() -> adam.save(nowhere));
      if (ranks.rank() > 0) {
        refused.withMessage(nowhere + ": rank 0 could not write the checkpoint");
      }
      adam.step();
      assertThat(State.steps(adam)).containsExactly(2L, 2L);
    });
  }
}
