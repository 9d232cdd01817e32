package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.StepCase.Types;
import io.spd4j.oracle.Float64Run;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Tensors of every length from 1 to 130, so of every rest of a vector, a lane row and a group. */
class TailsTest {
  static Stream<Arguments> typesAndRules() {
    return IntStream.range(0, StepCase.TYPES.size())
        .mapToObj(i -> Arguments.of(StepCase.TYPES.get(i), StepCase.RULES.get((i + 2) % 7)));
  }

  @ParameterizedTest
  @MethodSource("typesAndRules")
  void everyLength(Types types, DecayRule rule) {
    Tensors tensors = new Tensors(61, types);
    for (int numel = 1; numel <= 130; numel++) {
      tensors.add("p" + numel, numel, numel % 8, numel % 2 == 0);
    }
    ParameterGroup group =
        ParameterGroup.builder()
            .lr(0.01)
            .decay(rule)
            .amsgrad(types.moments() == MomentType.BFLOAT16)
            .parameters(tensors.parameters)
            .build();
    List<Float64Run> oracles = new ArrayList<>();
    tensors.parameters.forEach(p -> oracles.add(new Float64Run(group, p, 0)));
    try (SideBySide all = SideBySide.onCpu(tensors, List.of(group))) {
      for (int step = 1; step <= 4; step++) {
        tensors.nextGradients();
        all.stepOnly("step " + step, SideBySide.silent(Adam::step));
        for (int i = 0; i < oracles.size(); i++) {
          Parameter p = tensors.parameters.get(i);
          StepWithin.check(oracles.get(i), all.plain, p, 1, "step " + step);
          assertThat(oracles.get(i).param().unbounded()).isZero();
        }
      }
    }
  }
}
