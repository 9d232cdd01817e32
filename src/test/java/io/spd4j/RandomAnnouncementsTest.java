package io.spd4j;

import static io.spd4j.Refusals.illegalArgument;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Shards;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random calls on several ranks: announcements, misuse that is refused on one rank or on all, norms
 * and steps of every kind. What comes of it is what one process without ranks has, to the bit.
 */
class RandomAnnouncementsTest {
  private static final long SEEDS = Long.getLong("spd4j.announcements", 10);
  private static final int SUB_BATCHES = 8;
  private static final int STEPS = 6;

  @TempDir Path folder;

  static List<Long> seeds() {
    return new Random(5).longs(SEEDS).boxed().toList();
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void takeTheStepsOfOneProcess(long seed) throws IOException {
    try (Training whole = new Training(seed, null, folder.resolve("one"))) {
      whole.train();
      ThreadRanks.run(
          2 << new SplittableRandom(seed).nextInt(3),
          ranks -> {
            try (Training t = new Training(seed, ranks, folder.resolve("all"))) {
              t.train();
              t.assertSame(whole);
            }
            return null;
          });
      for (int step = 0; step < STEPS; step++) {
        Path one = folder.resolve("one" + step);
        if (Files.exists(one)) {
          assertThat(Files.mismatch(one, folder.resolve("all" + step))).isEqualTo(-1);
        }
      }
    }
  }

  /** One rank, or a process without ranks. All make the same random choices. */
  private static final class Training implements AutoCloseable {
    private final SplittableRandom random;
    private final Path path;
    private final Tensors tensors;
    private final List<ParameterGroup> groups;
    private final Adam adam;
    private final GradientTree tree;
    private final boolean ranked;

    /** Whether this is the rank that does other things than the rest. */
    private final boolean odd;

    private final List<Double> norms = new ArrayList<>();
    private final List<Parameter> announced = new ArrayList<>();
    private int step;

    /** The groups that were frozen in the backward pass, so that their gradients are no sums. */
    private List<ParameterGroup> leftOut;

    Training(long seed, Ranks ranks, Path path) {
      this.path = path;
      random = new SplittableRandom(seed);
      ranked = ranks != null;
      int oddRank = random.nextInt(2);
      odd = ranked && ranks.rank() == oddRank;
      List<StepCase.Types> types = StepCase.TYPES;
      StepCase stepCase =
          new StepCase(
              StepCase.RULES.get(random.nextInt(StepCase.RULES.size())),
              types.get(random.nextInt(types.size())),
              false,
              true,
              null);
      tensors = new Tensors(seed, stepCase.types());
      int count = 1 + random.nextInt(9);
      for (int i = 0; i < count; i++) {
        int numel = new int[] {0, 1, 77, 4096, 9000, 40_000}[random.nextInt(6)];
        tensors.add("p" + i, numel, i, random.nextBoolean());
      }
      groups = stepCase.groups(tensors);
      Adam.Builder builder =
          Adam.builder()
              .kernels(AllKernels.list().getLast())
              .threads(2)
              .seed(seed)
              .chunk(8L << random.nextInt(4, 16));
      groups.forEach(builder::group);
      adam = (ranked ? builder.ranks(ranks) : builder).build();
      tree =
          ranked
              ? GradientTree.of(tensors.parameters, SUB_BATCHES, ranks)
              : GradientTree.of(tensors.parameters, SUB_BATCHES);
    }

    void train() throws IOException {
      for (step = 0; step < STEPS; step++) {
        boolean last = step + 1 == STEPS; // leaves no gradient without the totals
        for (ParameterGroup group : groups) {
          group.lr(random.nextDouble(0.05));
          group.frozen(random.nextInt(4) == 0 && !last);
        }
        for (Parameter p : tensors.parameters) {
          int what = random.nextInt(6);
          if (what == 0 && !last && index(p) > 0) {
            p.gradient(null);
          } else if (what == 1 || p.gradient() == null) {
            p.gradient(tensors.gradient(p.numel(), random.nextInt(9)));
          }
        }
        leftOut = groups.stream().filter(ParameterGroup::frozen).toList();
        backward();
        for (int calls = random.nextInt(4); calls > 0; calls--) {
          between();
        }
        if (last) {
          groups.forEach(group -> group.frozen(false));
        }
        step();
      }
    }

    private void backward() {
      int order = random.nextInt();
      int bad = random.nextInt(6 * SUB_BATCHES);
      long calls = random.nextLong();
      for (int v = tree.begin(); v < tree.end(); v++) {
        for (Parameter p : tensors.parameters) {
          write(p, new SplittableRandom(step * 1000L + v * 100 + index(p)));
          if (v == bad && p.gradient() != null && p.numel() > 0) {
            Tensors.set(p.gradient(), tensors.types.gradient(), p.numel() - 1, Float.NaN);
          }
        }
        List<Parameter> shuffled = new ArrayList<>(tensors.parameters);
        Collections.shuffle(shuffled, new Random(order));
        boolean last = v + 1 == tree.end();
        layers(shuffled, last, new SplittableRandom(calls));
        tree.add();
      }
    }

    private void layers(List<Parameter> shuffled, boolean last, SplittableRandom calls) {
      for (int i = 0; i < shuffled.size(); ) {
        int end = Math.min(i + calls.nextInt(4), shuffled.size());
        List<Parameter> part = shuffled.subList(i, end);
        boolean ahead = calls.nextBoolean();
        boolean tells = calls.nextInt(4) > 0;
        int mischief = calls.nextInt(8);
        if (ahead) {
          assertThat(tree.add(part)).isEqualTo(last);
        }
        if (ahead && last && tells) {
          announce(part);
        }
        if (last) {
          misuse(mischief);
        }
        i = end;
      }
    }

    private void announce(List<Parameter> part) {
      adam.gradientsReady(part);
      part.stream().filter(this::isStepped).forEach(announced::add);
    }

    private boolean isStepped(Parameter p) {
      return p.gradient() != null && groups.stream().noneMatch(g -> g.frozen() && isIn(g, p));
    }

    private static boolean isIn(ParameterGroup group, Parameter p) {
      return group.parameters().contains(p);
    }

    /** Is refused on the rank that does it, and the others know nothing of it. */
    private void misuse(int what) {
      if (!odd || announced.isEmpty()) {
        return;
      }
      Parameter p = announced.get(what % announced.size());
      if (what == 0) {
        illegalArgument(p.name() + " is announced twice for one step", () -> ready(p));
      } else if (what == 1) {
        assertThatIllegalStateException()
            .isThrownBy(() -> p.gradient(null))
            .withMessageStartingWith("gradient of " + p.name() + " is announced");
      }
    }

    private void ready(Parameter... some) {
      adam.gradientsReady(List.of(some));
    }

    /** Does something between the backward pass and the step. */
    private void between() throws IOException {
      List<Parameter> rest = new ArrayList<>(tensors.parameters);
      int what = random.nextInt(9);
      int which = random.nextInt(100);
      int group = random.nextInt(groups.size());
      switch (what) {
        case 0 -> norms.add(adam.gradientNorm());
        case 1 -> {
          if (ranked) { // frozen ones are announced, and never thought of again
            rest.removeIf(p -> announced.contains(p) || which % 3 == index(p) % 3);
            announce(rest);
          }
        }
        case 2 -> {
          if (!leftOut.contains(groups.get(group))) {
            groups.get(group).frozen(!groups.get(group).frozen());
          }
        }
        case 3 -> adam.gatherLow();
        case 4 -> adam.save(path.resolveSibling(path.getFileName() + "" + step));
        case 5 -> {
          if (ranked) {
            groups.get(group).lr(odd ? 1 : 0);
            differ("the settings of the groups", adam::step);
          }
          groups.get(group).lr(0.02);
        }
        case 6 -> {
          rest.removeIf(p -> announced.contains(p) || !isStepped(p));
          if (ranked && !rest.isEmpty()) {
            adam.gradientsReady(odd ? List.of() : List.of(rest.get(which % rest.size())));
            if (which % 2 == 0) {
              differ("which gradients they announced", adam::gradientNorm);
            } else {
              differ("which gradients they announced", () -> ready());
            }
          }
        }
        case 7 -> {
          rest.removeIf(p -> announced.contains(p) || !isStepped(p));
          if (ranked) {
            if (odd) {
              adam.gradientsReady(rest);
            }
            differ("whether they step or announce", () -> adam.stepClipped(2));
          }
        }
        default -> {
          if (ranked) {
            if (odd) {
              differ("the kind of step", adam::step);
            } else {
              differ("the kind of step", adam::gradientNorm);
            }
          }
        }
      }
    }

    private void differ(String what, ThrowingCallable call) {
      assertThatIllegalStateException().isThrownBy(call).withMessageContaining("differ in " + what);
    }

    private void step() {
      switch (random.nextInt(3)) {
        case 0 -> adam.step(1.0 / SUB_BATCHES);
        case 1 -> norms.add(adam.stepClipped(random.nextDouble(0.1, 9), 0.125));
        default -> adam.clipAndStep(random.nextDouble(0.1, 9));
      }
      announced.clear();
    }

    private int index(Parameter p) {
      return tensors.parameters.indexOf(p);
    }

    private void write(Parameter p, SplittableRandom values) {
      for (long i = 0; p.gradient() != null && i < p.numel(); i++) {
        float g = (float) values.nextDouble(-1, 1);
        Tensors.set(p.gradient(), tensors.types.gradient(), i, g);
      }
    }

    void assertSame(Training whole) {
      assertThat(norms).isEqualTo(whole.norms);
      assertThat(adam.spdReports()).isEqualTo(whole.adam.spdReports());
      assertThat(State.steps(adam)).isEqualTo(State.steps(whole.adam));
      adam.gatherLow();
      Shards shards = adam.exchange().shards();
      for (int i = 0; i < adam.parameters().size(); i++) {
        Parameter p = adam.parameters().get(i);
        Parameter e = whole.adam.parameters().get(i);
        assertSame(p, p.data(), e.data());
        if (p.low() != null) {
          assertSame(p, p.low(), e.low());
        }
        long begin = shards.begin(i, shards.rank());
        long end = shards.end(i, shards.rank());
        assertSame(
            p,
            adam.exchange().shard(i, p.gradient(), p.gradientType()),
            adam.exchange().shard(i, e.gradient(), p.gradientType()));
        for (MomentPart part : MomentPart.of(p.momentType(), p.numel(), begin, end)) {
          assertSame(
              p,
              p.expAvg().asSlice(part.shard(), part.bytes()),
              e.expAvg().asSlice(part.whole(), part.bytes()));
          assertSame(
              p,
              p.expAvgSq().asSlice(part.shard(), part.bytes()),
              e.expAvgSq().asSlice(part.whole(), part.bytes()));
        }
      }
    }

    private static void assertSame(Parameter p, MemorySegment own, MemorySegment whole) {
      assertThat(own.mismatch(whole)).as(p.name()).isEqualTo(-1);
    }

    @Override
    public void close() {
      adam.close();
      tree.close();
      tensors.close();
    }
  }
}
