package io.spd4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Each part of a phase runs once, between the phase's beginning and its end. */
class TeamTest {
  private static final Duration LONG = Duration.ofSeconds(30);

  /** Runs steps of a few tiny phases each, every step as soon as the last has ended. */
  private static void stress(int size, Executor executor, int steps) {
    SplittableRandom random = new SplittableRandom(size);
    AtomicIntegerArray runs = new AtomicIntegerArray(size);
    int[] plain = new int[size];
    try (Team team = new Team(size, executor)) {
      for (int s = 0, phase = 0; s < steps; s++) {
        team.begin();
        for (int p = random.nextInt(4); p >= 0; p--) {
          phase++;
          int work = random.nextInt(50);
          team.run(part -> {
            for (int i = 0; i < (part % 2) * work; i++) {
              Thread.onSpinWait();
            }
            plain[part]++;
            runs.incrementAndGet(part);
          });
          for (int part = 0; part < size; part++) {
            // Plain writes are visible to the caller and to the next thread that runs the part.
            assertThat(runs.get(part)).isEqualTo(phase);
            assertThat(plain[part]).isEqualTo(phase);
          }
        }
        team.end();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7})
  void eachPartRunsOnceAPhase(int size) {
    assertTimeoutPreemptively(LONG, () -> stress(size, null, 2000));
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 5})
  void eachPartRunsOnceAPhaseOnAnExecutor(int size) {
    try (var pool = Executors.newFixedThreadPool(2)) {
      assertTimeoutPreemptively(LONG, () -> stress(size, pool, 2000));
    }
    try (var pool = Executors.newVirtualThreadPerTaskExecutor()) {
      assertTimeoutPreemptively(LONG, () -> stress(size, pool, 500));
    }
    assertTimeoutPreemptively(LONG, () -> stress(size, Runnable::run, 500));
    assertTimeoutPreemptively(LONG, () -> stress(size, helper -> {}, 500));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 5})
  void anExceptionReachesTheCallerAfterAllPartsHaveEnded(int size) {
    try (Team team = new Team(size, null)) {
      for (int step = 0; step < 200; step++) {
        int bad = step % size;
        RuntimeException fault = new RuntimeException("part " + bad);
        AtomicIntegerArray ended = new AtomicIntegerArray(size);
        team.begin();
        assertThatThrownBy(() ->
                team.run(part -> {
                  if (part == bad) {
                    ended.set(part, 1);
                    throw fault;
                  }
                  for (int i = 0; i < 500; i++) {
                    Thread.onSpinWait();
                  }
                  ended.set(part, 1);
                }))
            .isSameAs(fault);
        for (int part = 0; part < size; part++) {
          assertThat(ended.get(part)).isEqualTo(1);
        }
        team.run(part -> ended.set(part, 2));
        for (int part = 0; part < size; part++) {
          assertThat(ended.get(part)).isEqualTo(2);
        }
        team.end();
      }
    }
  }

  @Test
  void anErrorReachesTheCallerToo() {
    AssertionError fault = new AssertionError("part 1");
    try (Team team = new Team(3, null)) {
      team.begin();
      assertThatThrownBy(() ->
              team.run(part -> {
                if (part == 1) {
                  throw fault;
                }
              }))
          .isSameAs(fault);
      team.end();
    }
  }

  @Test
  void anInterruptedThreadRunsPhases() {
    assertTimeoutPreemptively(
        LONG,
        () -> {
          Thread.currentThread().interrupt();
          stress(3, null, 200);
          assertThat(Thread.interrupted()).isTrue();
        });
  }

  /** The JDK interrupts a thread when it breaks off the thread's access to a closed arena. */
  @Test
  void anInterruptedHelperGoesBackToSleep() {
    Set<Thread> before = Thread.getAllStackTraces().keySet();
    try (Team team = new Team(3, null)) {
      List<Thread> helpers =
          Thread.getAllStackTraces().keySet().stream()
              .filter(t -> t.getName().startsWith("spd4j-") && !before.contains(t))
              .toList();
      assertThat(helpers).hasSize(2);
      helpers.forEach(Thread::interrupt);
      team.begin();
      team.run(part -> {});
      team.end();
      assertTimeoutPreemptively(
          LONG,
          () -> {
            while (!helpers.stream().allMatch(TeamTest::sleeps)) {
              Thread.yield();
            }
          });
    }
  }

  private static boolean sleeps(Thread thread) {
    return !thread.isInterrupted() && thread.getState() == Thread.State.WAITING;
  }

  @Test
  void aTeamThatNeverWorkedCanBeClosed() {
    Team team = new Team(3, null);
    assertThat(team.size()).isEqualTo(3);
    team.close();
    team.close();
  }
}
