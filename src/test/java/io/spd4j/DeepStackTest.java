package io.spd4j;

import static io.spd4j.OptimizerFixture.adam;
import static io.spd4j.OptimizerFixture.group;
import static io.spd4j.OptimizerFixture.parameter;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A step at the end of the stack throws a {@link StackOverflowError}; the JVM lives on. */
class DeepStackTest {
  /**
   * Steps at every depth of a recursion until the stack is full: with code that is interpreted
   * first, then with compiled one, and with frames that grow, so that every distance from the end
   * comes.
   */
  static final class Deep {
    private static final int ROUNDS = 30;

    private static int overflows;
    private static long steps;

    public static void main(String[] args) {
      for (Kernels kernels : AllKernels.list()) {
        overflows = 0;
        steps = 0;
        for (int round = 0; round < ROUNDS; round++) {
          Arena arena =
              Arena.ofShared(); // neither is closed: the overflow may have spared a finally
          Parameter parameter = parameter(arena, "a", 70, 1);
          Adam adam = adam(kernels, 1, group(new SelectiveProjectionDecay(1), List.of(parameter)));
          try {
            descend(adam, round);
          } catch (StackOverflowError e) {
            overflows++;
          }
        }
        System.out.println(kernels.name() + " " + kernels.detail() + ": overflows " + overflows);
        if (steps == 0) {
          throw new AssertionError("no step at all");
        }
      }
    }

    private static void descend(Adam adam, int frames) {
      step(adam);
      skip(adam, frames);
    }

    /** Some frames more, so that another round meets the end elsewhere. */
    private static void skip(Adam adam, int frames) {
      if (frames > 0) {
        skip(adam, frames - 1);
      } else {
        descend(adam, 7);
      }
    }

    /** A step may break off half done; later ones are refused then. */
    private static void step(Adam adam) {
      try {
        adam.step();
        steps++;
      } catch (IllegalStateException e) {
        if (!e.getMessage().matches(".*(broke off half done|a step is under way).*")) {
          throw e;
        }
      }
    }
  }

  @Test
  void isNoCrash(@TempDir Path folder) throws Exception {
    String out =
        FreshJvm.run(
            folder, List.of("--add-modules", "jdk.incubator.vector", "-Xss512k"), Deep.class);
    assertThat(out).contains("vector ", "scalar ", ": overflows 30").doesNotContain("Exception");
  }
}
