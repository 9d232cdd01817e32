package io.spd4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

/** Runs Java code through native code. */
class OpenArenasTest {
  /** Kernels that record their calls and then run a given action. */
  private static final class Recording implements Kernels {
    private final List<String> calls = new ArrayList<>();
    private Runnable within = () -> {};

    @Override
    public String name() {
      return "recording";
    }

    @Override
    public String detail() {
      return "";
    }

    @Override
    public void update(BlockTable table, long begin, long end) {
      record("update", begin, end);
    }

    @Override
    public void project(BlockTable table, long begin, long end) {
      record("project", begin, end);
    }

    @Override
    public void gradSq(BlockTable table, long begin, long end) {
      record("gradSq", begin, end);
    }

    @Override
    public void interpolate(Interpolands arrays) {}

    private void record(String pass, long begin, long end) {
      calls.add(pass + " " + begin + " " + end);
      within.run();
    }
  }

  private final Recording kernels = new Recording();

  private void run(Pass pass, MemorySegment... held) {
    MemorySegment[] all = new MemorySegment[Holds.WIDTH];
    Arrays.fill(all, MemorySegment.NULL);
    System.arraycopy(held, 0, all, 0, held.length);
    OpenArenas.run(kernels, pass, null, 3, 7, all);
  }

  @Test
  void everyPassReachesTheKernels() {
    for (Pass pass : Pass.values()) {
      run(pass);
    }
    assertThat(kernels.calls).containsExactly("update 3 7", "project 3 7", "gradSq 3 7");
  }

  @Test
  void noOtherThreadCanCloseAnArenaDuringARun() {
    Arena[] arenas = new Arena[Holds.WIDTH];
    MemorySegment[] held = new MemorySegment[Holds.WIDTH];
    for (int i = 0; i < arenas.length; i++) {
      arenas[i] = Arena.ofShared();
      held[i] = arenas[i].allocate(8);
    }
    List<Throwable> refusals = new ArrayList<>();
    kernels.within =
        () -> {
          for (Arena arena : arenas) {
            AtomicReference<Throwable> thrown = new AtomicReference<>();
            Thread closer = Thread.ofPlatform().unstarted(arena::close);
            closer.setUncaughtExceptionHandler((thread, e) -> thrown.set(e));
            closer.start();
            try {
              closer.join();
            } catch (InterruptedException e) {
              throw new AssertionError(e);
            }
            refusals.add(thrown.get());
          }
        };
    run(Pass.UPDATE, held);
    assertThat(refusals).hasSize(arenas.length);
    assertThat(refusals).allMatch(e -> e instanceof IllegalStateException);
    for (Arena arena : arenas) {
      assertThat(arena.scope().isAlive()).isTrue();
      arena.close();
    }
  }

  @Test
  void aClosedArenaIsRefusedBeforeAnythingRuns() {
    Arena arena = Arena.ofShared();
    MemorySegment segment = arena.allocate(8);
    arena.close();
    assertThatThrownBy(() -> run(Pass.UPDATE, segment)).isInstanceOf(IllegalStateException.class);
    assertThat(kernels.calls).isEmpty();
  }

  @Test
  void anExceptionReachesTheCallerAndTheNextRunWorks() {
    for (Throwable thrown :
        List.of(new IllegalStateException("a"), new OutOfMemoryError("b"), new AssertionError())) {
      kernels.within =
          () -> {
            if (thrown instanceof RuntimeException e) {
              throw e;
            }
            throw (Error) thrown;
          };
      assertThatThrownBy(() -> run(Pass.PROJECT)).isSameAs(thrown);
      kernels.within = () -> {};
      run(Pass.PROJECT);
    }
    assertThat(kernels.calls).hasSize(6);
  }
}
