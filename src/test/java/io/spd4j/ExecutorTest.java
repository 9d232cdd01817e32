package io.spd4j;

import static io.spd4j.Optimizers.adam;
import static io.spd4j.Optimizers.group;
import static io.spd4j.StepCase.RULES;
import static io.spd4j.Tensors.parameter;
import static io.spd4j.Tensors.twins;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import io.spd4j.kernel.AllKernels;
import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Every executor gives the same bits, even one that runs nothing, and no step waits for it. */
class ExecutorTest {
  private static final Duration LONG = Duration.ofSeconds(30);

  @AutoClose private final Arena arena = Arena.ofShared();
  private final List<Parameter> tensors = new ArrayList<>();
  private final List<State> expected = new ArrayList<>();

  @BeforeEach
  void stepAlone() {
    tensors.add(parameter(arena, "a", 1, 150_000));
    tensors.add(parameter(arena, "b", 2, 70_001));
    for (DecayRule rule : RULES) {
      expected.add(state(1, null, rule));
    }
  }

  private State state(int threads, Executor executor, DecayRule rule) {
    Adam.Builder builder =
        Adam.builder()
            .kernels(AllKernels.list().getLast())
            .threads(threads)
            .group(group(rule, twins(arena, tensors)));
    if (executor != null) {
      builder.executor(executor);
    }
    try (Adam adam = builder.build()) {
      for (int s = 0; s < 3; s++) {
        adam.stepClipped(100);
      }
      return State.of(adam);
    }
  }

  private void givesTheSameBits(Executor executor) {
    for (int threads : new int[] {2, 3, 7}) {
      assertTimeoutPreemptively(
          LONG,
          () -> {
            for (int r = 0; r < RULES.size(); r++) {
              assertThat(state(threads, executor, RULES.get(r))).isEqualTo(expected.get(r));
            }
          });
    }
  }

  @Test
  void ownThreads() {
    givesTheSameBits(null);
  }

  @Test
  void theCallersThread() {
    givesTheSameBits(Runnable::run);
  }

  @Test
  void anExecutorThatRunsNothing() {
    givesTheSameBits(helper -> {});
  }

  @Test
  void helpersThatRunTooLate() {
    List<Runnable> late = Collections.synchronizedList(new ArrayList<>());
    givesTheSameBits(late::add);
    assertThat(late).isNotEmpty();
    assertTimeoutPreemptively(LONG, () -> late.forEach(Runnable::run));
  }

  @Test
  void helpersThatRunOneStepLater() {
    List<Runnable> late = new ArrayList<>();
    try (ExecutorService pool = Executors.newFixedThreadPool(3)) {
      givesTheSameBits(helper -> {
        late.add(helper);
        if (late.size() > 2) {
          pool.execute(late.removeFirst());
        }
      });
    }
  }

  @Test
  void anExecutorThatRejects() {
    givesTheSameBits(helper -> {
      throw new RejectedExecutionException("full");
    });
  }

  @Test
  void anExecutorThatRejectsEveryOtherHelper() {
    int[] calls = new int[1];
    try (ExecutorService pool = Executors.newFixedThreadPool(2)) {
      givesTheSameBits(helper -> {
        if (calls[0]++ % 2 == 1) {
          throw new RejectedExecutionException("full");
        }
        pool.execute(helper);
      });
    }
  }

  @Test
  void aBusyPool() {
    CountDownLatch done = new CountDownLatch(1);
    try (ExecutorService pool = Executors.newFixedThreadPool(2)) {
      for (int i = 0; i < 2; i++) {
        pool.execute(() -> {
          try {
            done.await();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        });
      }
      try {
        givesTheSameBits(pool);
      } finally {
        done.countDown();
      }
    }
  }

  @Test
  void aPoolThatFallsBackToTheCaller() {
    try (ExecutorService pool =
        new ThreadPoolExecutor(
            1,
            1,
            1,
            TimeUnit.SECONDS,
            new SynchronousQueue<>(),
            new ThreadPoolExecutor.CallerRunsPolicy())) {
      givesTheSameBits(pool);
    }
  }

  @Test
  void aPoolThatIsShutDown() {
    ExecutorService pool = Executors.newFixedThreadPool(2);
    pool.shutdown();
    givesTheSameBits(pool);
  }

  @Test
  void virtualThreads() {
    try (ExecutorService pool = Executors.newVirtualThreadPerTaskExecutor()) {
      givesTheSameBits(pool);
    }
  }

  @Test
  void theCommonPool() {
    givesTheSameBits(ForkJoinPool.commonPool());
  }

  @Test
  void thePoolOfTheCallersThread() {
    try (ExecutorService pool = Executors.newFixedThreadPool(1)) {
      assertTimeoutPreemptively(LONG, () -> pool.submit(() -> givesTheSameBits(pool)).get());
    }
  }

  @Test
  void anExecutorThatFailsReleasesItsHelpers() {
    IllegalArgumentException fault = new IllegalArgumentException("faulty");
    List<Thread> helpers = Collections.synchronizedList(new ArrayList<>());
    List<Parameter> copies = twins(arena, tensors);
    try (Adam adam =
        Adam.builder()
            .threads(3)
            .group(group(new L2SP(1), copies))
            .executor(helper -> {
              if (helpers.size() == 1) {
                helpers.add(null); // the next call does not throw
                throw fault;
              }
              helpers.add(Thread.ofPlatform().daemon().start(helper));
            })
            .build()) {
      assertThat(catchThrowable(adam::step)).isSameAs(fault);
      assertTimeoutPreemptively(LONG, () -> helpers.getFirst().join());
      assertThat(State.arrays(copies)).containsAllEntriesOf(State.arrays(twins(arena, tensors)));
      assertThat(copies).extracting(Parameter::step).containsOnly(0L);
      adam.step();
      assertThat(copies).extracting(Parameter::step).containsOnly(1L);
    }
  }

  @Test
  void anInterruptedThreadSteps() {
    for (Executor executor : new Executor[] {null, ForkJoinPool.commonPool()}) {
      assertTimeoutPreemptively(
          LONG,
          () -> {
            Thread.currentThread().interrupt();
            try {
              assertThat(state(3, executor, RULES.getLast())).isEqualTo(expected.getLast());
              assertThat(Thread.currentThread().isInterrupted()).isTrue();
            } finally {
              Thread.interrupted();
            }
          });
    }
  }

  @Test
  void closeEndsTheThreads() throws InterruptedException {
    List<Thread> before = ownThreads("spd4j-");
    Adam adam = adam(AllKernels.list().getLast(), 4, group(new L2SP(1), twins(arena, tensors)));
    adam.step();
    List<Thread> own = new ArrayList<>(ownThreads("spd4j-"));
    own.removeAll(before);
    assertThat(own).hasSize(3).allMatch(Thread::isDaemon);
    adam.close();
    for (Thread thread : own) {
      assertThat(thread.join(LONG)).isTrue();
    }
    assertThatIllegalStateException().isThrownBy(adam::step);
  }

  private static List<Thread> ownThreads(String prefix) {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(t -> t.getName().startsWith(prefix))
        .toList();
  }
}
