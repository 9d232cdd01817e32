package io.spd4j;

import static io.spd4j.Optimizers.adam;
import static io.spd4j.Optimizers.group;
import static io.spd4j.StepCase.RULES;
import static io.spd4j.Tensors.parameter;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Once compiled, a step allocates nothing on the Java heap, even after a change of settings. */
class AllocationTest {
  /** Prints how many bytes each call allocates. The Vector API allocates until C2 compiles it. */
  static final class Measured {
    private static final int WARM_UP = 6000;
    private static final int STEPS = 200;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    public static void main(String[] args) {
      for (Kernels kernels : AllKernels.list()) {
        try (Arena arena = Arena.ofShared();
            Adam small = optimizer(arena, kernels, 1, 10, 1000);
            Adam large = optimizer(arena, kernels, 2, 4097, 12_000)) {
          measure(kernels, "small", small, WARM_UP);
          measure(kernels, "large", large, WARM_UP / 5);
        }
      }
    }

    /** Returns an optimizer with one group for each rule and one AMSGrad group. */
    private static Adam optimizer(Arena arena, Kernels kernels, int threads, int... numels) {
      List<ParameterGroup> groups = new ArrayList<>();
      for (DecayRule rule : RULES) {
        List<Parameter> parameters = new ArrayList<>();
        for (int numel : numels) {
          parameters.add(parameter(arena, groups.size() + "." + numel, numel, numel));
        }
        groups.add(group(rule, parameters));
      }
      groups.add(
          ParameterGroup.builder()
              .amsgrad(true)
              .parameter(parameter(arena, "amsgrad", 1, 500))
              .build());
      return adam(kernels, threads, groups.toArray(ParameterGroup[]::new));
    }

    private static void measure(Kernels kernels, String size, Adam adam, int warmUp) {
      List<Parameter> parameters = adam.parameters();
      Map<String, Runnable> calls = new LinkedHashMap<>();
      calls.put("step", adam::step);
      calls.put("stepClipped", () -> adam.stepClipped(1));
      calls.put("clipAndStep", () -> adam.clipAndStep(1));
      calls.put("gradientNorm", adam::gradientNorm);
      calls.put(
          "stepParameter",
          () -> {
            for (int i = 0; i < parameters.size(); i++) {
              adam.stepParameter(parameters.get(i));
            }
          });
      calls.forEach((call, code) -> {
        long bytes = bytes(adam.groups(), code, warmUp);
        System.out.printf(
            "%s %s, %s, %s: %d bytes%n", kernels.name(), kernels.detail(), size, call, bytes);
      });
    }

    /** Counts the bytes of the calls alone; between them, the learning rate changes. */
    private static long bytes(List<ParameterGroup> groups, Runnable code, int warmUp) {
      for (int i = 0; i < warmUp; i++) {
        changeEveryOther(groups, i);
        code.run();
      }
      long[] helpers =
          Thread.getAllStackTraces().keySet().stream()
              .filter(thread -> thread.getName().startsWith("spd4j-"))
              .mapToLong(Thread::threadId)
              .toArray();
      long helpersBefore = LongStream.of(helpers).map(THREADS::getThreadAllocatedBytes).sum();
      long bytes = 0;
      for (int i = 0; i < STEPS; i++) {
        changeEveryOther(groups, i);
        long before = THREADS.getCurrentThreadAllocatedBytes();
        code.run();
        bytes += THREADS.getCurrentThreadAllocatedBytes() - before;
      }
      long helpersAfter = LongStream.of(helpers).map(THREADS::getThreadAllocatedBytes).sum();
      return bytes + helpersAfter - helpersBefore;
    }

    private static void changeEveryOther(List<ParameterGroup> groups, int i) {
      if (i % 2 == 0) {
        groups.forEach(group -> group.lr(group.lr() * (i % 4 == 0 ? 0.5 : 2)));
      }
    }
  }

  @Test
  void aStepAllocatesNothing(@TempDir Path folder) throws Exception {
    String out =
        FreshJvm.run(
            folder,
            List.of("--add-modules", "jdk.incubator.vector", "-XX:-BackgroundCompilation"),
            Measured.class);
    List<String> lines = out.lines().filter(line -> line.endsWith(" bytes")).toList();
    assertThat(lines).hasSize(AllKernels.list().size() * 2 * 5);
    assertThat(lines).allMatch(line -> line.endsWith(": 0 bytes"));
  }
}
