package io.spd4j.torture;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.spd4j.Adam;
import io.spd4j.Backend;
import io.spd4j.Closer;
import io.spd4j.DecayRule;
import io.spd4j.L2SP;
import io.spd4j.Parameter;
import io.spd4j.SelectiveProjectionDecay;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/**
 * Another thread closes an arena in the middle of a step. The step is done, or its exception says
 * what was closed; nothing else is damaged, and the optimizer works on or says that it does not.
 */
class ClosingArenasTest {
  private static final int[] NUMELS = {1000, 30_000, 100_000, 200_000};
  private static final int ARRAYS = 5;
  private static final List<String> NAMES =
      List.of("data", "gradient", "anchor", "expAvg", "expAvgSq");

  private static final byte GUARD = 0x5a;
  private static final int LINE = 64;

  /** Lets the other thread close between two steps. */
  private static final long PAUSE = 20_000;

  /** More steps than fit are not repeated. */
  private static final long MOST_BYTES = 4 << 20;

  private final List<Backend> backends = Subject.onCpu();
  @AutoClose private final ExecutorService pool = Executors.newCachedThreadPool();
  @AutoClose private final Arena lasting = Arena.ofShared();

  /** Memory for each array and a line on either side. */
  private final MemorySegment[] rooms =
      IntStream.range(0, ARRAYS)
          .mapToObj(i -> lasting.allocate(4L * NUMELS[NUMELS.length - 1] + 2 * LINE, LINE))
          .toArray(MemorySegment[]::new);

  /** What is under way in a round. */
  private record Run(
      Adam adam, Parameter parameter, boolean clips, MemorySegment[] arrays, int odd) {
    void step() {
      if (clips) {
        assertThat(adam.stepClipped(1)).isFinite();
      } else {
        adam.step();
      }
    }
  }

  @Test
  void aStepIsDoneOrSaysWhatWasClosed() {
    Rounds.run(ClosingArenasTest.class, 40, this::round);
  }

  private void round(SplittableRandom random, Rounds rounds) throws InterruptedException {
    int numel = NUMELS[random.nextInt(NUMELS.length)];
    int odd = random.nextInt(ARRAYS);
    MemorySegment[] arrays = new MemorySegment[ARRAYS];
    MemorySegment[] before = new MemorySegment[ARRAYS];
    for (int i = 0; i < ARRAYS; i++) {
      arrays[i] = filled(i, numel, random);
      before[i] = MemorySegment.ofArray(arrays[i].toArray(JAVA_FLOAT));
    }
    Arena victim = Arena.ofShared();
    arrays[odd] = victim.allocate(4L * numel, LINE).copyFrom(arrays[odd]);
    Parameter p = parameter(arrays);
    DecayRule rule = random.nextInt(3) > 0 ? new SelectiveProjectionDecay(1) : new L2SP(0.1);
    try (Adam adam = builder(random).group(0.1, rule, List.of(p)).build()) {
      Run run = new Run(adam, p, random.nextBoolean(), arrays, odd);
      boolean interrupted = random.nextInt(4) == 0;
      Closer closer = new Closer(random.nextLong(4L * numel), victim);
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
      IllegalStateException thrown = stepUntilRefused(run, random.nextBoolean() ? 0 : PAUSE);
      boolean flag = Thread.interrupted();
      rounds.count("closes refused during a step", closer.join());
      rounds.count("arenas closed by another thread", 1);
      rounds.count("steps", p.step());
      assertThat(thrown)
          .hasMessageMatching(
              NAMES.get(odd) + " of odd lies in an arena that (is|was) closed( during the step)?");
      assertThat(flag).as("the interrupt flag").isEqualTo(interrupted);
      boolean broken = isBroken(run);
      rounds.count("steps broken off", broken ? 1 : 0);
      if (!broken) {
        assertStepsAreWhole(run, rule, before);
      }
    }
    assertUntouched(before, odd);
  }

  private Adam.Builder builder(SplittableRandom random) {
    Adam.Builder builder =
        Adam.builder()
            .backend(backends.get(random.nextInt(backends.size())))
            .threads(random.nextInt(1, 4));
    return switch (random.nextInt(4)) {
      case 0 -> builder.executor(pool);
      case 1 -> builder.executor(Runnable::run);
      default -> builder;
    };
  }

  private static Parameter parameter(MemorySegment[] a) {
    return Parameter.builder("odd", a[0]).gradient(a[1]).anchor(a[2]).moments(a[3], a[4]).build();
  }

  /** Fills an array with random numbers, moments with zeros, and what lies around with guards. */
  private MemorySegment filled(int array, int numel, SplittableRandom random) {
    rooms[array].fill(GUARD);
    MemorySegment segment = rooms[array].asSlice(LINE, 4L * numel).fill((byte) 0);
    for (int i = 0; array < 3 && i < numel; i++) {
      segment.setAtIndex(JAVA_FLOAT, i, random.nextInt() * 0x1p-31f);
    }
    return segment;
  }

  private static IllegalStateException stepUntilRefused(Run run, long pause) {
    while (true) {
      try {
        run.step();
        Closer.pause(pause);
      } catch (IllegalStateException e) {
        return e;
      }
    }
  }

  /** Returns whether the last step broke off half done; otherwise it has not begun. */
  private static boolean isBroken(Run run) {
    long steps = run.parameter.step();
    try {
      run.step();
    } catch (IllegalStateException e) {
      assertThat(run.parameter.step()).isEqualTo(steps);
      if (e.getMessage().equals("an earlier step broke off half done")) {
        assertThat(e).hasCauseInstanceOf(RuntimeException.class);
        assertThatIllegalStateException().isThrownBy(() -> run.parameter.gradient(null));
        assertThatIllegalStateException().isThrownBy(run.adam::gradientNorm);
        return true;
      }
      assertThat(e).hasMessageContaining(" of odd lies in an arena that is closed").hasNoCause();
      return false;
    }
    throw new AssertionError("a step was taken after an arena was closed");
  }

  /** What is left has the bits of as many steps without a disturbance, and goes on from there. */
  private static void assertStepsAreWhole(Run run, DecayRule rule, MemorySegment[] before) {
    long steps = run.parameter.step();
    if (before[0].byteSize() * steps < MOST_BYTES) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment[] copies = new MemorySegment[ARRAYS];
        for (int i = 0; i < ARRAYS; i++) {
          copies[i] = arena.allocate(before[i].byteSize(), LINE).copyFrom(before[i]);
        }
        Parameter p = parameter(copies);
        try (Adam adam = Adam.builder().group(0.1, rule, List.of(p)).build()) {
          Run again = new Run(adam, p, run.clips, copies, run.odd);
          for (long s = 0; s < steps; s++) {
            again.step();
          }
        }
        for (int i = 0; i < ARRAYS; i++) {
          if (i != run.odd) {
            assertThat(run.arrays[i].mismatch(copies[i])).as("array %d", i).isEqualTo(-1);
          }
        }
      }
    }
    run.parameter.gradient(null);
    run.adam.step();
    assertThat(run.parameter.step()).isEqualTo(steps);
  }

  private void assertUntouched(MemorySegment[] before, int odd) {
    for (int i = 0; i < ARRAYS; i++) {
      long bytes = before[i].byteSize();
      MemorySegment guards = MemorySegment.ofArray(new byte[LINE]).fill(GUARD);
      assertThat(rooms[i].asSlice(0, LINE).mismatch(guards)).isEqualTo(-1);
      assertThat(rooms[i].asSlice(LINE + bytes, LINE).mismatch(guards)).isEqualTo(-1);
      if (i == 1 || i == 2 || i == odd) {
        assertThat(rooms[i].asSlice(LINE, bytes).mismatch(before[i]))
            .as("array %d, which steps do not write", i)
            .isEqualTo(-1);
      }
    }
  }
}
