package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.StepCase.Types;
import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Kernels;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** A training that was saved and restored continues with the bits of one that never stopped. */
class StoredStateTest {
  private static final long SEED = 12;

  @TempDir private Path folder;
  @AutoClose private final Arena arena = Arena.ofShared();

  /** Returns builders of two groups: one with SPD, and one whose settings a schedule changes. */
  private static List<ParameterGroup.Builder> groups(DecayRule rule, Types types) {
    boolean amsgrad = types.moments() != MomentType.BLOCKWISE_8BIT;
    return List.of(
        ParameterGroup.builder().lr(0.01).decay(new SelectiveProjectionDecay(0.7)).amsgrad(amsgrad),
        ParameterGroup.builder().lr(0.02).betas(0.8, 0.95).eps(1e-6).decay(rule).maximize(true));
  }

  private static Adam adam(Adam.Builder builder, List<ParameterGroup> groups) {
    groups.forEach(builder::group);
    return builder.build();
  }

  @ParameterizedTest
  @FieldSource("io.spd4j.StepCase#TYPES")
  void trainingContinuesWithTheSameBits(Types types) throws IOException {
    int line = StepCase.TYPES.indexOf(types);
    DecayRule rule = StepCase.RULES.get(line % StepCase.RULES.size());
    try (Tensors tensors = new Tensors(19, types)) {
      for (int numel : new int[] {1, 63, 130, 4100, 8192}) {
        tensors.add("p" + numel, numel, 0, numel % 2 == 0);
      }
      List<Parameter> copies = Tensors.twins(arena, tensors.parameters);
      Path file = folder.resolve("state.safetensors");
      List<ParameterGroup> groups = Tensors.deal(tensors.parameters, groups(rule, types));
      try (Adam adam = adam(Adam.builder().seed(SEED), groups);
          Adam interrupted =
              adam(
                  Adam.builder().seed(SEED).threads(1),
                  Tensors.deal(copies, groups(rule, types)))) {
        for (int step = 1; step <= 3; step++) {
          tensors.nextGradients();
          copyGradients(tensors.parameters, copies);
          for (Adam each : List.of(adam, interrupted)) {
            change(each.groups().getLast(), step);
            each.step();
            each.stepParameter(each.parameters().getFirst());
          }
        }
        assertThat(adam.spdReports()).isNotEmpty();
        Checkpoint.of(interrupted).parameters(true).write(file);
        State saved = State.of(interrupted);
        // What was saved is in the file: the arrays no longer matter.
        interrupted.parameters().forEach(StoredStateTest::scribble);
        List<List<Parameter>> continued = new ArrayList<>();
        List<Adam> adams = new ArrayList<>();
        for (Kernels kernels : AllKernels.list()) {
          boolean bring = adams.size() % 2 == 0; // moments of the caller, or of the optimizer
          continued.add(bring ? Tensors.twins(arena, copies) : fresh(copies));
          adams.add(
              adam(
                  Adam.builder().restore(file).kernels(kernels).threads(2),
                  Tensors.deal(continued.getLast(), groups(new NoDecay(), types))));
          assertThat(State.of(adams.getLast())).isEqualTo(saved);
          ParameterGroup group = adams.getLast().groups().getLast();
          assertThat(group.lr()).isEqualTo(adam.groups().getLast().lr());
          assertThat(group.decay()).isEqualTo(adam.groups().getLast().decay());
          assertThat(group.frozen()).isTrue();
        }
        for (int step = 4; step <= 6; step++) {
          tensors.nextGradients();
          continued.forEach(parameters -> copyGradients(tensors.parameters, parameters));
          change(adam.groups().getLast(), step);
          adam.step();
          for (Adam other : adams) {
            change(other.groups().getLast(), step);
            other.step();
          }
        }
        State expected = State.of(adam);
        for (Adam other : adams) {
          assertThat(State.of(other)).isEqualTo(expected);
          other.close();
        }
      }
    }
  }

  /** A schedule: the group is frozen when it is saved. */
  private static void change(ParameterGroup group, int step) {
    group.lr(0.02 / step);
    group.decay(StepCase.at(group.decay(), 0.1 * step));
    group.frozen(step == 3);
  }

  private static void copyGradients(List<Parameter> from, List<Parameter> to) {
    for (int i = 0; i < from.size(); i++) {
      to.get(i).gradient().copyFrom(from.get(i).gradient());
    }
  }

  private static void scribble(Parameter p) {
    for (MemorySegment array :
        new MemorySegment[] {p.data(), p.low(), p.expAvg(), p.expAvgSq(), p.maxExpAvgSq()}) {
      if (array != null) {
        array.fill((byte) 0x55);
      }
    }
  }

  /** Returns copies that bring no moments. */
  private List<Parameter> fresh(List<Parameter> parameters) {
    List<Parameter> fresh = new ArrayList<>();
    for (Parameter p : parameters) {
      fresh.add(
          Parameter.builder(p.name(), Tensors.copy(arena, p.data()), p.type())
              .low(Tensors.copy(arena, p.low()))
              .gradient(Tensors.copy(arena, p.gradient()), p.gradientType())
              .anchor(p.anchor(), p.anchorType())
              .momentType(p.momentType())
              .build());
    }
    return fresh;
  }
}
