package io.spd4j;

import static io.spd4j.Optimizers.adam;
import static io.spd4j.Optimizers.group;
import static io.spd4j.Tensors.parameter;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Near the end of the stack, a step throws {@link StackOverflowError} without a crash. */
class DeepStackTest {
  /** Takes one step with a new optimizer at each of the last depths of the stack. */
  static final class Deep {
    private static final int DEPTHS = 2500;

    private static int reached;

    /** Warms up first: the number of steps decides what is compiled, and so the stack used. */
    public static void main(String[] args) {
      int warmUp = Integer.getInteger("steps");
      for (Kernels kernels : AllKernels.list()) {
        Adam first = optimizer(kernels);
        for (int i = 0; i < warmUp; i++) {
          first.step();
        }
        try {
          measure(0);
        } catch (StackOverflowError end) {
          // reached holds the depth
        }
        int limit = reached;
        int overflows = 0;
        for (int i = 0; i < DEPTHS; i++) {
          Adam adam = optimizer(kernels);
          try {
            step(limit - 1 - i, adam);
          } catch (StackOverflowError e) {
            overflows++;
          }
        }
        System.out.println(
            "%s %s: %s"
                .formatted(
                    kernels.name(),
                    kernels.detail(),
                    overflows > 0 && overflows < DEPTHS ? "both" : overflows));
      }
    }

    /** Returns an optimizer that is never closed: an overflow may have skipped a finally block. */
    private static Adam optimizer(Kernels kernels) {
      Parameter parameter = parameter(Arena.global(), "a", 70, 70);
      return adam(kernels, 1, group(new SelectiveProjectionDecay(1), List.of(parameter)));
    }

    private static void measure(int depth) {
      reached = depth;
      measure(depth + 1);
    }

    private static void step(int depth, Adam adam) {
      if (depth == 0) {
        adam.step();
      } else {
        step(depth - 1, adam);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {50, 300, 600, 1000, 5000})
  void doesNotCrash(int steps, @TempDir Path folder) throws Exception {
    String out =
        FreshJvm.run(
            folder,
            List.of(
                "--add-modules",
                "jdk.incubator.vector",
                "-Xss1m",
                "-Dsteps=" + steps,
                // interpreted frames have one size, so the distance from the end differs
                "-XX:CompileCommand=exclude,*Deep::step",
                "-XX:CompileCommand=exclude,*Deep::measure"),
            Deep.class);
    List<String> lines = out.lines().filter(line -> line.matches(".+ .+: (both|\\d+)")).toList();
    assertThat(lines).hasSize(AllKernels.list().size());
    assertThat(lines).as("some steps overflow, some do not").allMatch(l -> l.endsWith(": both"));
  }
}
