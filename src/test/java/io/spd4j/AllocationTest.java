package io.spd4j;

import static io.spd4j.Optimizers.adam;
import static io.spd4j.Optimizers.group;
import static io.spd4j.StepCase.RULES;
import static io.spd4j.StepCase.TYPES;
import static io.spd4j.Tensors.parameter;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.spd4j.StepCase.Types;
import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.BlockTable;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
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
  private static final List<Types> OTHER_TYPES =
      TYPES.stream().filter(types -> types != Types.FLOAT32).toList();

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

    /** Returns an optimizer with one group for each rule, and an AMSGrad group that was empty. */
    private static Adam optimizer(Arena arena, Kernels kernels, int threads, int... numels) {
      List<ParameterGroup> groups = new ArrayList<>();
      for (DecayRule rule : RULES) {
        List<Parameter> parameters = new ArrayList<>();
        for (int numel : numels) {
          parameters.add(parameter(arena, groups.size() + "." + numel, numel, numel));
        }
        groups.add(group(rule, parameters));
      }
      groups.add(ParameterGroup.builder().amsgrad(true).build());
      Adam adam = adam(kernels, threads, groups.toArray(ParameterGroup[]::new));
      adam.addParameter(groups.getLast(), parameter(arena, "amsgrad", 1, 500));
      return adam;
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
      calls.forEach((call, code) -> print(kernels, size, call, adam, code, warmUp));
    }

    static void print(
        Kernels kernels, String what, String call, Adam adam, Runnable code, int warmUp) {
      long bytes = bytes(adam.groups(), code, warmUp);
      System.out.printf(
          "%s %s, %s, %s: %d bytes%n", kernels.name(), kernels.detail(), what, call, bytes);
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

  /** Prints the same for arrays of other types. */
  static final class MeasuredTypes {
    private static final int WARM_UP = 400;

    public static void main(String[] args) {
      for (Kernels kernels : AllKernels.list()) {
        OTHER_TYPES.forEach(types -> run(kernels, types, false)); // C2 compiles again for new types
        OTHER_TYPES.forEach(types -> run(kernels, types, true));
      }
    }

    private static void run(Kernels kernels, Types types, boolean printed) {
      try (Tensors tensors = new Tensors(1, types);
          Adam adam = optimizer(kernels, tensors)) {
        List<MemorySegment> back = tensors.parameters.stream().map(p -> back(p, tensors)).toList();
        Runnable steps =
            () -> {
              adam.step(); // away from the anchor: SPD does not select
              swap(tensors.parameters, back);
              adam.step(); // still away, because of the momentum: SPD selects and projects
              swap(tensors.parameters, back);
            };
        if (printed) {
          String name = types.toString();
          Measured.print(kernels, name, "step", adam, steps, WARM_UP);
          Measured.print(kernels, name, "gradientNorm", adam, adam::gradientNorm, WARM_UP);
          for (SpdReport report : adam.spdReports()) {
            assertThat(report.selections()).isBetween(1L, report.checked() - 1);
            assertThat(report.ratio()).isPositive();
          }
        } else {
          for (int i = 0; i < WARM_UP; i++) {
            steps.run();
            adam.gradientNorm();
          }
        }
      }
    }

    /** Swaps the values of the parameters' gradients with others. */
    private static void swap(List<Parameter> parameters, List<MemorySegment> others) {
      for (int i = 0; i < others.size(); i++) {
        MemorySegment gradient = parameters.get(i).gradient();
        MemorySegment other = others.get(i);
        for (long at = 0; at < gradient.byteSize(); at += Short.BYTES) {
          short value = gradient.get(JAVA_SHORT, at);
          gradient.set(JAVA_SHORT, at, other.get(JAVA_SHORT, at));
          other.set(JAVA_SHORT, at, value);
        }
      }
    }

    /** Returns a small gradient in the opposite direction. */
    private static MemorySegment back(Parameter p, Tensors tensors) {
      MemorySegment back = Tensors.copy(tensors.arena, p.gradient());
      for (long i = 0; i < p.numel(); i++) {
        float g = Tensors.get(back, p.gradientType(), i);
        Tensors.set(back, p.gradientType(), i, -g / 128);
      }
      return back;
    }

    /** Returns an optimizer of tensors with and without a rest of a row, AMSGrad ones and SPD's. */
    private static Adam optimizer(Kernels kernels, Tensors tensors) {
      for (int i = 0; i < 2; i++) {
        tensors.add("whole" + i, 2 * BlockTable.BLOCK, 0, true);
        tensors.add("rest" + i, 2 * BlockTable.BLOCK - 58, 0, true);
      }
      boolean amsgrad = tensors.types.moments() != MomentType.BLOCKWISE_8BIT;
      List<Parameter> p = tensors.parameters;
      return adam(
          kernels,
          2,
          ParameterGroup.builder()
              .decay(new WeightDecay(0.05))
              .amsgrad(amsgrad)
              .parameters(p.subList(0, 2))
              .build(),
          group(new SelectiveProjectionDecay(1), p.subList(2, 4)));
    }
  }

  @Test
  void aStepAllocatesNothing(@TempDir Path folder) throws Exception {
    assertNothing(folder, Measured.class, 2 * 5);
  }

  @Test
  void aStepOfOtherTypesAllocatesNothing(@TempDir Path folder) throws Exception {
    assertNothing(folder, MeasuredTypes.class, OTHER_TYPES.size() * 2);
  }

  private static void assertNothing(Path folder, Class<?> main, int calls) throws Exception {
    String out =
        FreshJvm.run(
            folder,
            List.of("--add-modules", "jdk.incubator.vector", "-XX:-BackgroundCompilation"),
            main);
    List<String> lines = out.lines().filter(line -> line.endsWith(" bytes")).toList();
    assertThat(lines).hasSize(AllKernels.list().size() * calls);
    assertThat(lines).allMatch(line -> line.endsWith(": 0 bytes"));
  }
}
