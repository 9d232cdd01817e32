package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.FaultyStep.Fault;
import io.spd4j.oracle.Computation;
import io.spd4j.oracle.Float64Run;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The bounds of the float64 oracle detect faulty steps. */
class FaultsTest {
  private static final int STEPS = 8;
  private static final int[] SIZES = {1, 63, 64, 65, 700, 4096 + 33};

  @ParameterizedTest
  @EnumSource
  void aFaultIsOutOfBounds(Fault fault) {
    double worst = 0;
    try (Tensors tensors = new Tensors(7)) {
      ParameterGroup group = group(tensors);
      List<FaultyStep> steps = new ArrayList<>();
      List<Float64Run> oracles = new ArrayList<>();
      for (Parameter p : tensors.parameters) {
        steps.add(new FaultyStep(fault, group, p, tensors.arena));
        oracles.add(new Float64Run(group, Computation.CONTRACT, p.data(), p.anchor()));
      }
      for (int step = 1; step <= STEPS; step++) {
        tensors.nextGradients();
        for (int i = 0; i < steps.size(); i++) {
          FaultyStep faulty = steps.get(i);
          Float64Run oracle = oracles.get(i);
          faulty.step(tensors.parameters.get(i).gradient());
          oracle.step(tensors.parameters.get(i).gradient(), 1, faulty.condition < 0);
          worst = Math.max(worst, oracle.condition().part(faulty.condition));
          worst = Math.max(worst, oracle.expAvg().part(faulty.expAvg));
          worst = Math.max(worst, oracle.expAvgSq().part(faulty.expAvgSq));
          worst = Math.max(worst, oracle.param().part(faulty.param));
          oracle.goOnFrom(faulty.param, faulty.expAvg, faulty.expAvgSq, null);
        }
      }
    }
    if (fault == Fault.NONE) {
      assertThat(worst).isBetween(0.5, 1.0);
    } else {
      assertThat(worst).isGreaterThan(2);
    }
  }

  /** Shows that the faults are put into the library's own formula. */
  @Test
  void withoutAFaultItMatchesTheLibrary() {
    try (Tensors tensors = new Tensors(7)) {
      ParameterGroup group = group(tensors);
      List<FaultyStep> steps =
          tensors.parameters.stream()
              .map(p -> new FaultyStep(Fault.NONE, group, p, tensors.arena))
              .toList();
      int selected = 0;
      try (Adam adam = Adam.builder().group(group).threads(1).build()) {
        for (int step = 1; step <= STEPS; step++) {
          tensors.nextGradients();
          adam.step();
          for (int i = 0; i < steps.size(); i++) {
            Parameter p = tensors.parameters.get(i);
            steps.get(i).step(p.gradient());
            assertThat(steps.get(i).param.mismatch(p.data())).isEqualTo(-1);
            assertThat(steps.get(i).expAvg.mismatch(p.expAvg())).isEqualTo(-1);
            assertThat(steps.get(i).expAvgSq.mismatch(p.expAvgSq())).isEqualTo(-1);
            selected +=
                adam.spdReport(p).orElseThrow().ratio() > 0 && steps.get(i).condition < 0 ? 1 : 0;
          }
        }
      }
      assertThat(selected).isGreaterThan(5);
    }
  }

  private static ParameterGroup group(Tensors tensors) {
    for (int size : SIZES) {
      tensors.add("p" + size, size, 1, true);
    }
    return ParameterGroup.builder()
        .lr(0.02)
        .eps(1e-6)
        .decay(new SelectiveProjectionDecay(20))
        .parameters(tensors.parameters)
        .build();
  }
}
