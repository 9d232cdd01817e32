package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.StepCase.Types;
import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Executor;
import java.util.concurrent.ForkJoinPool;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/**
 * What rounds stochastically depends on the seed, the parameter's name, its step count and the
 * element, and on nothing else.
 */
class RandomBitsTest {
  /** Types with random bits for parameters and moments. */
  static final List<Types> TYPES =
      List.of(
          types(ElementType.BFLOAT16, MomentType.BFLOAT16),
          types(ElementType.FLOAT16, MomentType.BLOCKWISE_8BIT),
          types(ElementType.FLOAT16, MomentType.BFLOAT16));

  /** Enough elements for seven threads, of which each takes at least 32,768. */
  private static final int[] SIZES = {1, 64, 4096, 4097, 230_002};

  private static final int STEPS = 3;

  @AutoClose private final Arena arena = Arena.ofShared();
  private final Kernels fastest = AllKernels.list().getLast();
  private Tensors tensors;

  private static Types types(ElementType type, MomentType moments) {
    return new Types(type, false, ElementType.BFLOAT16, type, moments);
  }

  @AfterEach
  void close() {
    tensors.close();
  }

  /** Makes parameters whose moments begin at 0; SPD selects some of them. */
  private void tensors(Types types) {
    tensors = new Tensors(53, types);
    for (int numel : SIZES) {
      tensors.add("p" + numel, numel, 0, true);
    }
    for (Parameter p : tensors.parameters) {
      for (long i = 0; p.numel() % 2 == 0 && i < p.numel(); i++) {
        float deviation =
            Tensors.get(p.data(), p.type(), i) - Tensors.get(p.anchor(), p.anchorType(), i);
        Tensors.set(p.gradient(), p.gradientType(), i, deviation);
      }
    }
  }

  private List<Parameter> twins() {
    return Tensors.twins(arena, tensors.parameters);
  }

  private Map<String, State.Bits> run(
      Adam.Builder builder, long seed, List<Parameter> parameters, Consumer<Adam> step) {
    try (Adam adam = builder.seed(seed).group(group(parameters)).build()) {
      for (int s = 0; s < STEPS; s++) {
        step.accept(adam);
      }
      return new TreeMap<>(State.arrays(adam.parameters()));
    }
  }

  private static ParameterGroup group(List<Parameter> parameters) {
    return ParameterGroup.builder()
        .lr(0.1)
        .decay(new SelectiveProjectionDecay(0.8))
        .parameters(parameters)
        .build();
  }

  private Adam.Builder builder() {
    return Adam.builder().kernels(fastest);
  }

  @ParameterizedTest
  @FieldSource("TYPES")
  void nothingElseMatters(Types types) {
    tensors(types);
    Map<String, State.Bits> expected = run(builder().threads(1), 7, twins(), Adam::step);
    for (Kernels kernels : AllKernels.list()) {
      for (int threads : new int[] {1, 2, 3, 7}) {
        assertThat(run(Adam.builder().kernels(kernels).threads(threads), 7, twins(), Adam::step))
            .as("%s %s, %d threads", kernels.name(), kernels.detail(), threads)
            .isEqualTo(expected);
      }
    }
    Executor inline = Runnable::run;
    Executor never = task -> {};
    for (Executor executor : List.of(inline, never, ForkJoinPool.commonPool())) {
      assertThat(run(builder().threads(3).executor(executor), 7, twins(), Adam::step))
          .isEqualTo(expected);
    }
    assertThat(run(builder(), 7, twins(), adam -> adam.stepClipped(1e30))).isEqualTo(expected);
    assertThat(run(builder(), 7, twins(), this::oneByOne)).isEqualTo(expected);
    List<Parameter> reversed = new ArrayList<>(twins());
    Collections.reverse(reversed);
    assertThat(run(builder(), 7, reversed, Adam::step)).isEqualTo(expected);
    Adam.Builder groups = builder();
    List<Parameter> shuffled = new ArrayList<>(twins());
    Collections.shuffle(shuffled, new Random(2));
    shuffled.subList(1, SIZES.length).forEach(p -> groups.group(group(List.of(p))));
    assertThat(run(groups, 7, shuffled.subList(0, 1), Adam::step)).isEqualTo(expected);
    for (Parameter p : twins()) {
      Map<String, State.Bits> alone = run(builder(), 7, List.of(p), Adam::step);
      assertThat(expected).containsAllEntriesOf(alone);
    }
  }

  /** Steps each parameter by itself, in an order that changes. */
  private void oneByOne(Adam adam) {
    List<Parameter> parameters = new ArrayList<>(adam.parameters());
    Collections.shuffle(parameters, new Random(parameters.getFirst().step()));
    parameters.forEach(adam::stepParameter);
  }

  /** Returns one step of a parameter with a seed, a name and a step count. */
  private Map<String, State.Bits> one(long seed, String name, long step) {
    Parameter p = Tensors.twin(arena, tensors.parameters.getLast());
    Parameter renamed =
        Parameter.builder(name, p.data(), p.type())
            .gradient(p.gradient(), p.gradientType())
            .anchor(p.anchor(), p.anchorType())
            .momentType(p.momentType())
            .moments(moment(p), moment(p))
            .step(step)
            .build();
    // Without bias correction, a step does the same whatever its count.
    ParameterGroup group = ParameterGroup.builder().lr(0.01).betas(0, 0).parameter(renamed).build();
    try (Adam adam = builder().seed(seed).group(group).build()) {
      adam.step();
      Map<String, State.Bits> arrays = new TreeMap<>();
      State.arrays(List.of(renamed))
          .forEach((what, bits) -> arrays.put(what.replace(" of " + name, ""), bits));
      return arrays;
    }
  }

  private MemorySegment moment(Parameter p) {
    return arena.allocate(p.momentType().byteSize(p.numel()), 64);
  }

  @ParameterizedTest
  @FieldSource("TYPES")
  void seedNameAndStepMatter(Types types) {
    tensors(types);
    Map<String, State.Bits> first = one(1, "name", 5);
    assertThat(one(1, "name", 5)).isEqualTo(first);
    for (Map<String, State.Bits> other :
        List.of(
            one(2, "name", 5),
            one(-1, "name", 5),
            one(1L << 32 | 1, "name", 5),
            one(1, "Name", 5),
            one(1, "name2", 5),
            one(1, "name", 6),
            one(1, "name", 5 + (1L << 32)))) {
      for (String array : List.of("data", "expAvgSq")) {
        assertThat(other.get(array)).as(array).isNotEqualTo(first.get(array));
      }
      assertThat(other.get("gradient")).isEqualTo(first.get("gradient"));
      assertThat(other.get("anchor")).isEqualTo(first.get("anchor"));
    }
  }
}
