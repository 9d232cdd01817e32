package io.spd4j;

import static io.spd4j.Optimizers.adam;
import static io.spd4j.Optimizers.group;
import static io.spd4j.Refusals.illegalState;
import static io.spd4j.StepCase.RULES;
import static io.spd4j.Tensors.parameter;
import static io.spd4j.Tensors.selected;
import static io.spd4j.Tensors.twins;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.BlockTable;
import io.spd4j.kernel.EachKernels;
import io.spd4j.kernel.Interpolands;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Steps give the same bits wherever arrays lie; closing an arena never crashes the JVM. */
class ArenasTest {
  @AutoClose private final Arena arena = Arena.ofShared();

  private List<Parameter> tensors() {
    List<Parameter> tensors = new ArrayList<>();
    for (int n : new int[] {100, 0, 5000, 100_000, 1, 0, 12_289, 64}) {
      String name = "t" + tensors.size();
      tensors.add(n > 0 ? selected(arena, name, n, n) : parameter(arena, name, 1, 0));
    }
    return tensors;
  }

  /** Returns a copy of a parameter whose arrays were copied by move. */
  private static Parameter moved(Parameter p, UnaryOperator<MemorySegment> move) {
    MemorySegment zeros = MemorySegment.ofArray(new byte[(int) p.data().byteSize()]);
    return ParameterArray.parameter(
        p.name(),
        Stream.of(p.data(), p.gradient(), p.anchor(), zeros, zeros, zeros)
            .map(move)
            .toArray(MemorySegment[]::new));
  }

  private static ParameterGroup amsgrad(DecayRule rule, List<Parameter> parameters) {
    return ParameterGroup.builder()
        .lr(0.1)
        .decay(rule)
        .amsgrad(true)
        .parameters(parameters)
        .build();
  }

  private void assertBitsOfOneArena(
      Kernels kernels, int threads, UnaryOperator<MemorySegment> move) {
    for (DecayRule rule : RULES) {
      List<Parameter> tensors = tensors();
      List<Parameter> moved = tensors.stream().map(p -> moved(p, move)).toList();
      try (Adam one = adam(kernels, 1, amsgrad(rule, tensors));
          Adam many = adam(kernels, threads, amsgrad(rule, moved))) {
        for (int s = 0; s < 3; s++) {
          one.step();
          if (s == 1) {
            moved.forEach(many::stepParameter);
          } else {
            many.step();
          }
        }
        assertThat(many.stepClipped(1)).isEqualTo(one.stepClipped(1));
        assertThat(State.of(many)).isEqualTo(State.of(one));
      }
    }
  }

  private static MemorySegment copy(Arena arena, MemorySegment segment) {
    return Tensors.copy(arena, segment);
  }

  @EachKernels
  void anArenaForEachArray(Kernels kernels) {
    for (int threads : new int[] {1, 3}) {
      List<Arena> arenas = new ArrayList<>();
      assertBitsOfOneArena(
          kernels,
          threads,
          segment -> {
            arenas.add(Arena.ofShared());
            return copy(arenas.getLast(), segment);
          });
      arenas.forEach(Arena::close);
    }
  }

  @EachKernels
  void arenasOfEveryKind(Kernels kernels, @TempDir Path folder) {
    int[] count = new int[1];
    try (Arena confined = Arena.ofConfined();
        Arena files = Arena.ofShared()) {
      assertBitsOfOneArena(
          kernels,
          4,
          segment ->
              switch (count[0]++ % 5) {
                case 0 -> copy(Arena.ofAuto(), segment);
                // An empty segment of the global arena looks like an address without a size.
                case 1 -> copy(segment.byteSize() > 0 ? Arena.global() : Arena.ofAuto(), segment);
                case 2 -> copy(confined, segment);
                case 3 ->
                    Closer.mapped(files, folder.resolve("array" + count[0]), segment.byteSize())
                        .copyFrom(segment);
                default -> copy(arena, segment);
              });
    }
  }

  @EachKernels
  void theOwnerThreadStepsConfinedArenas(Kernels kernels) {
    try (Arena confined = Arena.ofConfined()) {
      assertBitsOfOneArena(kernels, 4, segment -> copy(confined, segment));
    }
  }

  @EachKernels
  void gradientsInAnAutomaticArenaLiveWhileTheyAreUsed(Kernels kernels) {
    List<Parameter> tensors = tensors();
    List<Parameter> copies = twins(arena, tensors);
    copies.forEach(p -> p.gradient(copy(Arena.ofAuto(), p.gradient())));
    try (Adam a = adam(kernels, new L2SP(0.1), tensors);
        Adam b = adam(kernels, new L2SP(0.1), copies)) {
      for (int s = 0; s < 3; s++) {
        System.gc();
        a.step();
        b.step();
        copies.forEach(p -> p.gradient(copy(Arena.ofAuto(), p.gradient())));
      }
      assertThat(State.of(b)).isEqualTo(State.of(a));
    }
  }

  /**
   * Steps in one thread while another closes an arena, again and again. The JVM exits with 0 only
   * if every step and every close either succeeded or was refused as it should be.
   */
  static final class Closing {
    private static final long NUMEL = 4 << 20;
    private static final int ROUNDS = 8;

    private static int refusedCloses;
    private static int brokenSteps;
    private static int refusedSteps;

    public static void main(String[] args) throws InterruptedException {
      SplittableRandom random = new SplittableRandom(1);
      List<MemorySegment> lasting = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        lasting.add(Arena.global().allocate(NUMEL * Float.BYTES, 64));
      }
      for (Kernels kernels : AllKernels.list()) {
        for (int round = 0; round < ROUNDS; round++) {
          round(kernels, round, lasting, random);
        }
        System.out.println(
            kernels.name()
                + " "
                + kernels.detail()
                + ": closes refused "
                + refusedCloses
                + ", steps broken off "
                + brokenSteps
                + ", steps refused "
                + refusedSteps);
      }
    }

    /** Steps until an arena is closed in which one of the five arrays of a parameter lies. */
    private static void round(
        Kernels kernels, int round, List<MemorySegment> lasting, SplittableRandom random)
        throws InterruptedException {
      Arena victim = Arena.ofShared();
      List<MemorySegment> a = new ArrayList<>(lasting);
      MemorySegment mapped = Closer.mapped(victim, Path.of("victim"), NUMEL * Float.BYTES);
      a.set(round % 5, mapped.copyFrom(lasting.getFirst()));
      List<Parameter> halves = new ArrayList<>();
      for (long half = 0; half < 2; half++) {
        long size = NUMEL * Float.BYTES / 2;
        List<MemorySegment> s = new ArrayList<>();
        for (MemorySegment segment : a) {
          s.add(segment.asSlice(half * size, size));
        }
        halves.add(
            Parameter.builder("half" + half, s.get(0))
                .gradient(s.get(1))
                .anchor(s.get(2))
                .moments(s.get(3), s.get(4))
                .build());
      }
      try (Adam adam =
          adam(kernels, 1 + round % 3, group(new SelectiveProjectionDecay(1), halves))) {
        Closer closer = new Closer(random.nextLong(30_000_000), victim);
        stepUntilRefused(adam);
        if (Thread.interrupted()) {
          throw new AssertionError("the caller's thread is interrupted");
        }
        refusedCloses += closer.join();
      }
    }

    private static void stepUntilRefused(Adam adam) {
      while (true) {
        try {
          if (adam.parameters().getFirst().step() % 2 == 0) {
            adam.step();
          } else {
            adam.stepClipped(1);
          }
        } catch (IllegalStateException e) {
          check(adam, e);
          return;
        }
      }
    }

    private static void check(Adam adam, IllegalStateException thrown) {
      try {
        adam.step();
      } catch (IllegalStateException again) {
        if (again.getCause() == null && again.getMessage().endsWith("in an arena that is closed")) {
          refusedSteps++;
          return;
        }
        if (again.getCause() == thrown
            && thrown.getMessage().endsWith(" lies in an arena that was closed during the step")
            && again.getMessage().contains("broke off half done")) {
          brokenSteps++;
          return;
        }
        throw new AssertionError("wrong message", again);
      }
      throw new AssertionError("a step was taken after an arena was closed");
    }
  }

  /**
   * Closes an arena when a pass begins, and interrupts the thread as the JVM does when it breaks
   * off an access.
   */
  private record ClosingKernels(Kernels kernels, Arena victim) implements Kernels {
    private void closeFirst() {
      Thread.currentThread().interrupt();
      synchronized (victim) {
        if (victim.scope().isAlive()) {
          victim.close();
        }
      }
    }

    @Override
    public String name() {
      return kernels.name();
    }

    @Override
    public String detail() {
      return kernels.detail();
    }

    @Override
    public void update(BlockTable table, long begin, long end) {
      closeFirst();
      kernels.update(table, begin, end);
    }

    @Override
    public void project(BlockTable table, long begin, long end) {
      kernels.project(table, begin, end);
    }

    @Override
    public void gradSq(BlockTable table, long begin, long end) {
      closeFirst();
      kernels.gradSq(table, begin, end);
    }

    @Override
    public void interpolate(Interpolands arrays) {
      kernels.interpolate(arrays);
    }
  }

  /** What closes an arena in mid-step. */
  private interface Closed {
    void step(Adam adam, Parameter victim) throws Exception;
  }

  private void whenClosed(Kernels kernels, int threads, Closed then) throws Exception {
    for (boolean interrupted : new boolean[] {false, true}) {
      Arena victim = Arena.ofShared();
      Parameter a = parameter(arena, "a", 1, 100_000);
      Parameter b = parameter(arena, "b", 2, 100_000);
      b.gradient(copy(victim, b.gradient()));
      Queue<Boolean> flags = new ConcurrentLinkedQueue<>();
      List<Thread> helpers = new ArrayList<>();
      Executor executor =
          task ->
              helpers.add(
                  Thread.ofPlatform()
                      .start(() -> {
                        task.run();
                        flags.add(Thread.interrupted());
                      }));
      try (Adam adam =
          Adam.builder()
              .kernels(new ClosingKernels(kernels, victim))
              .threads(threads)
              .executor(executor)
              .group(group(new L2SP(0.1), List.of(a, b)))
              .build()) {
        if (interrupted) {
          Thread.currentThread().interrupt();
        }
        then.step(adam, b);
        assertThat(Thread.interrupted()).isEqualTo(interrupted);
        for (Thread helper : helpers) {
          helper.join();
        }
        assertThat(flags).hasSize(threads - 1).doesNotContain(true);
      }
    }
  }

  @EachKernels
  void aStepThatAnArenaClosedSaysWhichAndIsNoInterrupt(Kernels kernels) throws Exception {
    for (int threads : new int[] {1, 2}) {
      whenClosed(
          kernels,
          threads,
          (adam, b) -> {
            IllegalStateException thrown =
                catchThrowableOfType(IllegalStateException.class, adam::step);
            assertThat(thrown)
                .hasMessage("gradient of b lies in an arena that was closed during the step")
                .hasCauseInstanceOf(IllegalStateException.class);
            assertThatIllegalStateException()
                .isThrownBy(adam::step)
                .withMessage("an earlier step broke off half done")
                .withCause(thrown);
          });
    }
  }

  @EachKernels
  void aNormThatAnArenaClosedChangesNothing(Kernels kernels) throws Exception {
    for (int threads : new int[] {1, 2}) {
      whenClosed(
          kernels,
          threads,
          (adam, b) -> {
            adam.parameters().getFirst().gradient(null);
            MemorySegment before = copy(arena, b.data());
            illegalState(
                "gradient of b lies in an arena that is closed", () -> adam.stepClipped(1));
            assertThat(b.data().mismatch(before)).isEqualTo(-1);
            b.gradient(null);
            adam.uploadSettings(); // refused after a step that broke off
            assertThat(State.steps(adam)).containsOnly(0L);
          });
    }
  }

  @Test
  void closingAnArenaDuringAStepDoesNotCrash(@TempDir Path folder) throws Exception {
    String out =
        FreshJvm.run(
            folder, List.of("--add-modules", "jdk.incubator.vector", "-Xmx512m"), Closing.class);
    assertThat(out).contains("scalar plain Java: ", "vector ").doesNotContain("Exception");
  }
}
