package io.spd4j;

import static io.spd4j.Optimizers.adam;
import static io.spd4j.Optimizers.group;
import static io.spd4j.Refusals.illegalState;
import static io.spd4j.StepCase.RULES;
import static io.spd4j.Tensors.copy;
import static io.spd4j.Tensors.floats;
import static io.spd4j.Tensors.parameter;
import static io.spd4j.Tensors.random;
import static io.spd4j.Tensors.selected;
import static io.spd4j.Tensors.twin;
import static io.spd4j.Tensors.twins;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.EachKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Under every rule, a step updates the right parameters at the right time with the right gradient.
 */
class StepTest {
  @AutoClose private final Arena arena = Arena.ofShared();

  /** Returns tensors with sizes near a row of lanes and a block, and empty ones. */
  private List<Parameter> tensors() {
    List<Parameter> tensors = new ArrayList<>();
    for (int n : new int[] {0, 1, 63, 64, 65, 4095, 0, 4096, 4097, 10_000}) {
      String name = "t" + tensors.size();
      tensors.add(n > 0 ? selected(arena, name, 7L * n, n) : parameter(arena, name, 1, 0));
    }
    return tensors;
  }

  private static void newGradients(Adam adam, long seed) {
    for (Parameter p : adam.parameters()) {
      if (p.gradient() != null) {
        try (Arena temporary = Arena.ofConfined()) {
          long numel = p.numel();
          p.gradient().copyFrom(random(temporary, seed + numel, numel));
        }
      }
    }
  }

  private static void steps(int count, long seed, Adam... optimizers) {
    for (int s = 0; s < count; s++) {
      for (Adam adam : optimizers) {
        newGradients(adam, seed + 1000 * s);
        adam.step();
      }
    }
  }

  @EachKernels
  void withoutAGradientNothingChanges(Kernels kernels) {
    for (DecayRule rule : RULES) {
      List<Parameter> tensors = twins(arena, tensors());
      Parameter without = tensors.get(5);
      try (Adam adam = adam(kernels, rule, tensors)) {
        adam.step();
        without.gradient(null);
        var before = State.arrays(List.of(without));
        var report = adam.spdReport(without);
        steps(2, 1, adam);
        adam.stepClipped(1);
        assertThat(adam.stepParameter(without)).isFalse();
        assertThat(State.arrays(List.of(without))).isEqualTo(before);
        assertThat(adam.spdReport(without)).isEqualTo(report);
        assertThat(without.step()).isEqualTo(1);
        assertThat(tensors.get(6).step()).isEqualTo(4);
      }
    }
  }

  @EachKernels
  void othersAreSteppedAsIfAlone(Kernels kernels) {
    for (DecayRule rule : RULES) {
      List<Parameter> tensors = tensors();
      List<Parameter> some = twins(arena, List.of(tensors.get(3), tensors.get(8)));
      for (Parameter p : tensors) {
        if (p != tensors.get(3) && p != tensors.get(8)) {
          p.gradient(null);
        }
      }
      try (Adam all = adam(kernels, rule, tensors);
          Adam few = adam(kernels, rule, some)) {
        steps(3, 1, all, few);
        assertThat(State.arrays(List.of(tensors.get(3), tensors.get(8))))
            .isEqualTo(State.arrays(some));
      }
    }
  }

  @EachKernels
  void aFrozenGroupIsLeftAloneAndLaterStartsAtItsFirstStep(Kernels kernels) {
    for (DecayRule rule : RULES) {
      Parameter late = selected(arena, "late", 1, 5000);
      List<Parameter> fresh = List.of(twin(arena, late));
      Parameter early = parameter(arena, "early", 2, 5000);
      try (Adam adam = adam(kernels, 2, group(rule, List.of(late)), group(rule, List.of(early)));
          Adam first = adam(kernels, rule, fresh)) {
        ParameterGroup frozen = adam.groups().getFirst();
        frozen.frozen(true);
        var before = State.arrays(List.of(late));
        for (int s = 0; s < 5; s++) {
          adam.step();
          assertThat(adam.stepParameter(late)).isFalse();
        }
        assertThat(State.arrays(List.of(late))).isEqualTo(before);
        assertThat(late.step()).isZero();
        assertThat(adam.spdReport(late)).isEmpty();
        frozen.frozen(false);
        adam.step();
        first.step();
        assertThat(State.arrays(List.of(late))).isEqualTo(State.arrays(fresh));
        assertThat(adam.spdReport(late)).isEqualTo(first.spdReport(fresh.getFirst()));
        assertThat(adam.parameters()).extracting(Parameter::step).containsExactly(1L, 6L);
      }
    }
  }

  @Test
  void aGroupCanStartFrozen() {
    Parameter p = parameter(arena, "p", 1, 10);
    try (Adam adam =
        Adam.builder().group(ParameterGroup.builder().parameter(p).frozen(true).build()).build()) {
      adam.step();
      assertThat(p.step()).isZero();
      adam.groups().getFirst().frozen(false);
      adam.step();
      assertThat(p.step()).isEqualTo(1);
    }
  }

  /** One group keeps SPD and is projected in every step; the rule of the other group changes. */
  @EachKernels
  void rateAndRuleCanBeChangedBetweenSteps(Kernels kernels) {
    DecayRule spd = new SelectiveProjectionDecay(0.7);
    List<DecayRule> sequence = new ArrayList<>(List.of(new WeightDecay(0.1), spd));
    sequence.addAll(RULES);
    sequence.addAll(List.of(spd, new L2SP(0.3), new SelectiveProjectionDecay(0.1)));
    Parameter changing = selected(arena, "changing", 1, 5000);
    Parameter projected = selected(arena, "projected", 3, 5000);
    double lr = 0.1;
    try (Adam adam =
        adam(kernels, 2, group(spd, List.of(changing)), group(spd, List.of(projected)))) {
      for (DecayRule rule : sequence) {
        moveAside(changing);
        moveAside(projected);
        lr *= 1.1;
        Parameter a = twin(arena, changing);
        Parameter b = twin(arena, projected);
        adam.groups().getFirst().decay(rule);
        adam.groups().getFirst().lr(lr);
        adam.step();
        assertThat(adam.spdReport(projected).orElseThrow().selected()).isTrue();
        ParameterGroup fresh = ParameterGroup.builder().lr(lr).decay(rule).parameter(a).build();
        try (Adam continued = adam(kernels, 2, fresh, group(spd, List.of(b)))) {
          continued.step();
          assertThat(State.ofTraining(adam)).as("%s", rule).isEqualTo(State.ofTraining(continued));
        }
      }
    }
  }

  /** Moves the parameter to where SPD selects it, and zeroes its moments. */
  private static void moveAside(Parameter p) {
    for (long i = 0; i < p.numel(); i++) {
      float dev = 0.01f * p.gradient().getAtIndex(JAVA_FLOAT, i);
      p.data().setAtIndex(JAVA_FLOAT, i, p.anchor().getAtIndex(JAVA_FLOAT, i) + dev);
    }
    if (p.expAvg() != null) {
      p.expAvg().fill((byte) 0);
      p.expAvgSq().fill((byte) 0);
    }
  }

  @EachKernels
  void theGradientCanBeReplaced(Kernels kernels) {
    for (DecayRule rule : RULES) {
      Parameter p = parameter(arena, "p", 1, 5000);
      Parameter q = twin(arena, p);
      Arena gone = Arena.ofShared();
      try (Adam swapped = adam(kernels, rule, List.of(p));
          Adam copied = adam(kernels, rule, List.of(q))) {
        Arena[] places = {arena, arena, gone, gone, Arena.ofAuto(), arena, Arena.global()};
        for (int s = 0; s < places.length; s++) {
          MemorySegment gradient = random(places[s], 100 + s, 5000);
          q.gradient().copyFrom(gradient);
          p.gradient(gradient);
          swapped.step();
          copied.step();
          if (s == 4) {
            gone.close();
          }
          if (s % 2 == 1) {
            p.gradient(null);
            swapped.step();
          }
        }
        assertThat(State.of(swapped)).isEqualTo(State.of(copied));
        assertThat(p.step()).isEqualTo(places.length);
      }
    }
  }

  @EachKernels
  void oneByOneGivesTheSameAsAllAtOnce(Kernels kernels) {
    for (DecayRule rule : RULES) {
      List<Parameter> tensors = tensors();
      List<Parameter> reversed = twins(arena, tensors).reversed();
      try (Adam all = adam(kernels, rule, tensors);
          Adam each = adam(kernels, 2, split(rule, reversed.reversed()))) {
        for (int s = 0; s < 6; s++) {
          newGradients(all, s);
          newGradients(each, s);
          double scale = 1 + s;
          all.step(scale);
          List<Parameter> order = s % 2 == 0 ? reversed : each.parameters();
          if (s % 3 == 2) {
            each.step(scale);
          } else {
            order.forEach(p -> assertThat(each.stepParameter(p, scale)).isTrue());
          }
        }
        assertThat(State.of(each)).isEqualTo(State.of(all));
      }
    }
  }

  /** Splits the parameters into three groups with the same hyperparameters, one of them empty. */
  private static ParameterGroup[] split(DecayRule rule, List<Parameter> parameters) {
    return new ParameterGroup[] {
      group(rule, parameters.subList(0, 4)),
      group(rule, List.of()),
      group(rule, parameters.subList(4, parameters.size()))
    };
  }

  @EachKernels
  void eachParameterKeepsItsOwnStepCount(Kernels kernels) {
    for (DecayRule rule : RULES) {
      List<Parameter> tensors = tensors();
      List<Parameter> ahead = twins(arena, List.of(tensors.get(4)));
      try (Adam adam = adam(kernels, rule, tensors);
          Adam alone = adam(kernels, rule, ahead)) {
        adam.stepParameter(tensors.get(4));
        adam.step();
        adam.stepParameter(tensors.get(4));
        adam.step();
        for (int s = 0; s < 4; s++) {
          alone.step();
        }
        assertThat(tensors.get(4).step()).isEqualTo(4);
        assertThat(tensors.get(5).step()).isEqualTo(2);
        assertThat(State.arrays(List.of(tensors.get(4)))).isEqualTo(State.arrays(ahead));
      }
    }
  }

  private static void map(MemorySegment segment, DoubleUnaryOperator function) {
    for (long i = 0; i < segment.byteSize() / 4; i++) {
      float x = segment.getAtIndex(JAVA_FLOAT, i);
      segment.setAtIndex(JAVA_FLOAT, i, (float) function.applyAsDouble(x));
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {1, 0.5, 0x1p-16, 1024, 0.3, 1.0 / 3, 17.77})
  void aScaleMultipliesTheGradients(double scale) {
    for (Kernels kernels : AllKernels.list()) {
      for (DecayRule rule : RULES) {
        List<Parameter> tensors = tensors();
        List<Parameter> scaled = twins(arena, tensors);
        scaled.forEach(p -> map(p.gradient(), g -> (float) g * (float) scale));
        try (Adam a = adam(kernels, rule, tensors);
            Adam b = adam(kernels, rule, scaled)) {
          a.step(scale);
          b.step();
          scaled.forEach(p -> p.gradient(null));
          tensors.forEach(p -> p.gradient(null));
          assertThat(State.of(a)).isEqualTo(State.of(b));
        }
      }
    }
  }

  @EachKernels
  void maximizeEqualsNegatedGradients(Kernels kernels) {
    for (DecayRule rule : RULES) {
      List<Parameter> tensors = tensors();
      List<Parameter> negated = twins(arena, tensors);
      ParameterGroup up =
          ParameterGroup.builder().lr(0.1).decay(rule).maximize(true).parameters(tensors).build();
      try (Adam a = adam(kernels, 2, up);
          Adam b = adam(kernels, rule, negated)) {
        for (int s = 0; s < 3; s++) {
          newGradients(a, s);
          newGradients(b, s);
          negated.forEach(p -> map(p.gradient(), g -> -g));
          a.stepClipped(1, 3);
          b.stepClipped(1, 3);
        }
        negated.forEach(p -> map(p.gradient(), g -> -g));
        assertThat(State.of(a)).isEqualTo(State.of(b));
      }
    }
  }

  @EachKernels
  void anEmptyOptimizerSteps(Kernels kernels) {
    try (Adam empty = adam(kernels, 3, ParameterGroup.builder().build());
        Adam zero =
            adam(kernels, new SelectiveProjectionDecay(1), List.of(parameter(arena, "p", 1, 0)))) {
      for (Adam adam : List.of(empty, zero)) {
        adam.step();
        assertThat(adam.stepClipped(1)).isZero();
        assertThat(adam.gradientNorm()).isZero();
      }
      assertThat(empty.parameters()).isEmpty();
      assertThat(zero.parameters().getFirst().step()).isEqualTo(2);
      assertThat(zero.spdReports()).hasSize(1);
      assertThat(zero.spdReports().getFirst().selected()).isFalse();
    }
  }

  @Test
  void momentsAreZeroAtFirstAndReadable() {
    List<Parameter> tensors = tensors();
    try (Adam adam =
        Adam.builder()
            .group(ParameterGroup.builder().amsgrad(true).parameters(tensors).build())
            .build()) {
      for (Parameter p : adam.parameters()) {
        for (MemorySegment moment : List.of(p.expAvg(), p.expAvgSq(), p.maxExpAvgSq())) {
          assertThat(moment.byteSize()).isEqualTo(p.data().byteSize());
          assertThat(floats(moment)).isEqualTo(new float[(int) p.numel()]);
        }
      }
    }
  }

  @EachKernels
  void givenMomentsAreUsedInPlace(Kernels kernels) {
    Parameter made = parameter(arena, "p", 1, 5000);
    MemorySegment m = arena.allocate(20_000, 4);
    MemorySegment v = arena.allocate(20_000, 4);
    MemorySegment max = arena.allocate(20_000, 4);
    Parameter brought =
        Parameter.builder("p", copy(arena, made.data()))
            .gradient(copy(arena, made.gradient()))
            .anchor(copy(arena, made.anchor()))
            .moments(m, v)
            .maxExpAvgSq(max)
            .build();
    ParameterGroup.Builder amsgrad = ParameterGroup.builder().amsgrad(true);
    try (Adam b = adam(kernels, 2, amsgrad.parameter(brought).build());
        Adam a = adam(kernels, 2, ParameterGroup.builder().amsgrad(true).parameter(made).build())) {
      steps(3, 1, a, b);
      assertThat(brought.expAvg()).isSameAs(m);
      assertThat(brought.expAvgSq()).isSameAs(v);
      assertThat(brought.maxExpAvgSq()).isSameAs(max);
      assertThat(floats(m)).doesNotContain(0f);
      assertThat(State.of(b)).isEqualTo(State.of(a));
    }
  }

  @EachKernels
  void aResumedCheckpointGivesTheSameBits(Kernels kernels) {
    for (DecayRule rule : RULES) {
      for (boolean amsgrad : new boolean[] {false, true}) {
        List<Parameter> tensors = tensors();
        try (Adam whole = adam(kernels, 2, withAmsgrad(rule, amsgrad, tensors))) {
          steps(3, 1, whole);
          List<Parameter> checkpoint = twins(arena, tensors);
          steps(4, 50, whole);
          try (Adam resumed = adam(kernels, 1, withAmsgrad(rule, amsgrad, checkpoint))) {
            steps(4, 50, resumed);
            assertThat(State.ofTraining(resumed)).isEqualTo(State.ofTraining(whole));
          }
        }
      }
    }
  }

  private static ParameterGroup withAmsgrad(DecayRule rule, boolean amsgrad, List<Parameter> all) {
    return ParameterGroup.builder().lr(0.1).decay(rule).amsgrad(amsgrad).parameters(all).build();
  }

  @EachKernels
  void stepParameterRefusesAClosedGradient(Kernels kernels) {
    Parameter p = parameter(arena, "p", 5, 100);
    try (Adam adam = adam(kernels, new NoDecay(), List.of(p))) {
      adam.stepParameter(p);
      try (Arena gradients = Arena.ofShared()) {
        p.gradient(copy(gradients, p.gradient()));
      }
      illegalState("gradient of p lies in an arena that is closed", () -> adam.stepParameter(p));
    }
  }
}
