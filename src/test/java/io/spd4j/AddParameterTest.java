package io.spd4j;

import static io.spd4j.Optimizers.adam;
import static io.spd4j.Optimizers.group;
import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.illegalState;
import static io.spd4j.Refusals.nullPointer;
import static io.spd4j.StepCase.RULES;
import static io.spd4j.Tensors.parameter;
import static io.spd4j.Tensors.random;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.spd4j.StepCase.Types;
import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.EachKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** A parameter that joins between steps is stepped as if the optimizer had always had it. */
class AddParameterTest {
  private static final int LAST = 5;

  @AutoClose private final Arena arena = Arena.ofShared();

  /**
   * Takes steps with an optimizer that has all tensors from the start, and with one that each
   * tensor joins before the first step in which it has a gradient.
   */
  private static void assertSame(Kernels kernels, DecayRule rule, Types types) {
    boolean amsgrad = types.moments() != MomentType.BLOCKWISE_8BIT;
    try (Tensors tensors = new Tensors(7, types)) {
      int[] numels = {5000, 1, 12_289, 64, 0, 9000, 4096, 100};
      for (int i = 0; i < numels.length; i++) {
        tensors.add("p" + i, numels[i], i, i % 2 == 0, i % 4 == 3 && amsgrad ? 3 : 0);
      }
      List<Parameter> all = tensors.parameters;
      List<Parameter> late = all.stream().map(p -> twin(tensors, p)).toList();
      IntFunction<ParameterGroup.Builder> settings =
          g ->
              ParameterGroup.builder()
                  .lr(0.02)
                  .decay(g == 1 ? rule : new L2SP(0.2))
                  .amsgrad(amsgrad);
      try (Adam whole =
              adam(
                  kernels,
                  2,
                  settings.apply(0).parameters(all.subList(0, 3)).build(),
                  settings.apply(1).parameters(all.subList(3, 6)).build(),
                  settings.apply(2).parameters(all.subList(6, 8)).build());
          Adam grown =
              adam(
                  kernels,
                  2,
                  settings.apply(0).build(),
                  settings.apply(1).parameter(late.get(3)).build(),
                  settings.apply(2).build())) {
        // The steps before which the tensors join, the first in each group first.
        int[] joins = {0, 2, 4, 0, 1, 3, 1, 1};
        for (int step = 0; step <= LAST; step++) {
          for (int i = 0; i < joins.length; i++) {
            if (joins[i] == step && i != 3) {
              grown.addParameter(grown.groups().get(i < 3 ? 0 : i < 6 ? 1 : 2), late.get(i));
            }
          }
          for (int i = 0; i < joins.length; i++) {
            all.get(i).gradient(joins[i] > step ? null : late.get(i).gradient());
          }
          tensors.nextGradients();
          double expected = step(whole, step);
          assertThat(step(grown, step)).isEqualTo(expected);
        }
        assertThat(grown.parameters())
            .extracting(Parameter::name)
            .containsExactlyElementsOf(names(whole.parameters()));
        for (int g = 0; g < 3; g++) {
          assertThat(names(grown.groups().get(g).parameters()))
              .isEqualTo(names(whole.groups().get(g).parameters()));
        }
        assertThat(State.steps(whole)).containsExactly(6L, 4L, 2L, 6L, 5L, 3L, 5L, 5L);
        assertThat(State.of(grown)).isEqualTo(State.of(whole));
        if (rule.equals(new SelectiveProjectionDecay(1))) {
          assertThat(grown.spdReports()).anyMatch(r -> r.selections() > 0 && r.checked() == 6);
        }
      }
    }
  }

  private static double step(Adam adam, int step) {
    if (step % 2 == 0) {
      return adam.stepClipped(0.5);
    }
    adam.step(0.7);
    return adam.gradientNorm();
  }

  private static List<String> names(List<Parameter> parameters) {
    return parameters.stream().map(Parameter::name).toList();
  }

  /** Returns a copy that shares the gradient, into which the next values are written. */
  private static Parameter twin(Tensors tensors, Parameter p) {
    return Tensors.twin(
        p, s -> s == p.gradient() || s == p.anchor() ? s : Tensors.copy(tensors.arena, s));
  }

  @EachKernels
  void theBitsAreThoseOfAnOptimizerThatAlwaysHadIt(Kernels kernels) {
    for (DecayRule rule : RULES) {
      assertSame(kernels, rule, Types.FLOAT32);
    }
  }

  /** Random bits depend on the seed, the name and the step count, not on who joined when. */
  @ParameterizedTest
  @FieldSource("io.spd4j.StepCase#TYPES")
  void ofEveryType(Types types) {
    for (Kernels kernels : List.of(AllKernels.list().getFirst(), AllKernels.list().getLast())) {
      assertSame(kernels, new SelectiveProjectionDecay(1), types);
    }
  }

  @Test
  void aParameterBringsItsMomentsAndStepCount() {
    Parameter whole = parameter(arena, "p", 1, 5000);
    try (Adam adam = Adam.builder().group(group(new L2SP(0.1), List.of(whole))).build()) {
      adam.step();
      adam.step();
      Parameter continued = Tensors.twin(arena, whole);
      MemorySegment m = continued.expAvg();
      ParameterGroup empty = group(new L2SP(0.1), List.of());
      try (Adam other = Adam.builder().group(empty).build()) {
        other.addParameter(empty, continued);
        assertThat(continued.step()).isEqualTo(2);
        assertThat(continued.expAvg()).isSameAs(m);
        adam.step();
        other.step();
        assertThat(State.of(other)).isEqualTo(State.of(adam));
      }
    }
  }

  /** A network whose parameters all join at their first update. */
  @Test
  void manyParametersJoinAnEmptyOptimizer() {
    List<Parameter> all = new ArrayList<>();
    for (int i = 0; i < 300; i++) {
      all.add(parameter(arena, "p" + i, i, 1 + i % 70));
    }
    List<Parameter> copies = Tensors.twins(arena, all);
    ParameterGroup group = group(new SelectiveProjectionDecay(1), List.of());
    try (Adam whole = Adam.builder().group(group(new SelectiveProjectionDecay(1), all)).build();
        Adam grown = Adam.builder().group(group).build()) {
      copies.forEach(p -> grown.addParameter(group, p));
      for (int s = 0; s < 3; s++) {
        whole.stepClipped(1);
        grown.stepClipped(1);
      }
      copies.forEach(grown::stepParameter);
      whole.step();
      assertThat(State.of(grown)).isEqualTo(State.of(whole));
    }
  }

  @Test
  void aParameterCanBringANewGroup() {
    List<Parameter> all = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      all.add(parameter(arena, "p" + i, i, 4000 + i));
    }
    List<Parameter> copies = Tensors.twins(arena, all);
    IntFunction<ParameterGroup.Builder> settings =
        g ->
            ParameterGroup.builder()
                .lr(0.01 * (g + 1))
                .decay(g % 2 == 0 ? new SelectiveProjectionDecay(1) : new WeightDecay(0.1));
    Adam.Builder builder = Adam.builder();
    for (int i = 0; i < all.size(); i++) {
      builder.group(settings.apply(i).parameter(all.get(i)).build());
    }
    try (Adam whole = builder.build();
        Adam grown =
            Adam.builder().group(settings.apply(0).parameter(copies.get(0)).build()).build()) {
      for (int i = 0; i < all.size(); i++) {
        if (i > 0) {
          grown.addParameter(settings.apply(i).build(), copies.get(i));
        }
        for (int j = 0; j < all.size(); j++) {
          all.get(j).gradient(j > i ? null : copies.get(j).gradient());
        }
        whole.stepClipped(1);
        grown.stepClipped(1);
        grown.groups().get(i).lr(0.003);
        whole.groups().get(i).lr(0.003);
      }
      assertThat(State.steps(grown)).containsExactly(5L, 4L, 3L, 2L, 1L);
      assertThat(State.of(grown)).isEqualTo(State.of(whole));
    }
  }

  @Test
  void theMomentsAreFreedWithTheOptimizer() {
    ParameterGroup group = ParameterGroup.builder().build();
    Parameter p = parameter(arena, "p", 1, 100);
    Adam adam = Adam.builder().group(group).build();
    adam.addParameter(group, p);
    adam.step();
    SpdReport none = adam.spdReport(p).orElse(null);
    adam.close();
    assertThat(none).isNull();
    assertThat(p.step()).isEqualTo(1);
    assertThat(p.expAvg().scope().isAlive()).isFalse();
    illegalState(
        "the optimizer is closed", () -> adam.addParameter(group, parameter(arena, "q", 1, 1)));
  }

  /** Until the next step, the optimizer knows a parameter that has joined only by its arrays. */
  @Test
  void aParameterThatHasJustJoinedCanBeAskedAndGivenAnotherGradient() {
    Parameter p = parameter(arena, "p", 1, 100);
    Parameter twin = Tensors.twin(arena, p);
    ParameterGroup group = group(new SelectiveProjectionDecay(1), List.of());
    Adam adam = Adam.builder().group(group).build();
    try (Adam always =
        Adam.builder().group(group(new SelectiveProjectionDecay(1), List.of(twin))).build()) {
      p.gradient(null);
      adam.addParameter(group, p);
      assertThat(p.step()).isZero();
      assertThat(adam.spdReport(p)).isEmpty();
      assertThat(p.expAvg().byteSize()).isEqualTo(400);
      illegalArgument("gradient of p overlaps expAvg of p", () -> p.gradient(p.expAvg()));
      p.gradient(Tensors.copy(arena, twin.gradient()));
      assertThat(adam.stepParameter(p)).isTrue();
      always.step();
      assertThat(State.of(adam)).isEqualTo(State.of(always));
      Parameter late =
          Parameter.builder("late", random(arena, 3, 4))
              .moments(random(arena, 4, 4), random(arena, 5, 4))
              .step(7)
              .build();
      adam.addParameter(group, late);
      assertThat(late.step()).isEqualTo(7);
      adam.close();
      assertThat(late.step()).isEqualTo(7);
      assertThat(p.step()).isEqualTo(1);
      assertThat(adam.spdReports()).hasSize(1);
    }
  }

  @Test
  void frozenGroupsAndLearningRatesStay() {
    Parameter p = parameter(arena, "p", 1, 100);
    Parameter q = parameter(arena, "q", 2, 100);
    ParameterGroup group = ParameterGroup.builder().parameter(p).frozen(true).build();
    try (Adam adam = Adam.builder().group(group).build()) {
      adam.step();
      adam.addParameter(group, q);
      adam.step();
      assertThat(State.steps(adam)).containsExactly(0L, 0L);
      group.frozen(false);
      group.lr(0.5);
      float before = p.data().get(JAVA_FLOAT, 0);
      adam.step();
      assertThat(State.steps(adam)).containsExactly(1L, 1L);
      float first = -0.5f * Math.signum(p.gradient().get(JAVA_FLOAT, 0));
      assertThat(p.data().get(JAVA_FLOAT, 0) - before).isCloseTo(first, within(0.01f));
    }
  }

  /** Asserts that the parameter is refused, and that the optimizer is as before and steps. */
  private static void refused(Adam adam, String message, Parameter parameter) {
    State before = State.of(adam);
    List<Parameter> parameters = adam.parameters();
    Adam owner = parameter.owner();
    MemorySegment moment = parameter.expAvg();
    ParameterGroup group = adam.groups().getFirst();
    illegalArgument(message, () -> adam.addParameter(group, parameter));
    assertThat(State.of(adam)).isEqualTo(before);
    assertThat(adam.parameters()).isEqualTo(parameters);
    assertThat(group.parameters()).isEqualTo(parameters);
    assertThat(parameter.owner()).isSameAs(owner);
    assertThat(parameter.expAvg()).isSameAs(moment);
    adam.step();
    assertThat(State.of(adam)).isNotEqualTo(before);
  }

  @Test
  void whatBuildWouldRefuseIsRefused() {
    Parameter p = parameter(arena, "p", 1, 100);
    MemorySegment free = random(arena, 9, 100);
    Arena closed = Arena.ofShared();
    Parameter gone = parameter(closed, "gone", 1, 100);
    closed.close();
    Parameter.Builder q = Parameter.builder("q", free);
    try (Adam adam = Adam.builder().group(group(new L2SP(0.1), List.of(p))).build();
        Adam other =
            Adam.builder()
                .group(group(new L2SP(0.1), List.of(parameter(arena, "other", 1, 1))))
                .build()) {
      refused(adam, "p is already a parameter of this optimizer", p);
      refused(adam, "two parameters are named p", parameter(arena, "p", 2, 100));
      refused(
          adam,
          "other belongs to another optimizer: build a new Parameter over its arrays",
          other.parameters().getFirst());
      refused(adam, "data of gone lies in an arena that is closed", gone);
      refused(adam, "data of q overlaps data of p", Parameter.builder("q", p.data()).build());
      refused(
          adam, "data of q overlaps gradient of p", Parameter.builder("q", p.gradient()).build());
      refused(adam, "data of q overlaps anchor of p", Parameter.builder("q", p.anchor()).build());
      refused(
          adam, "data of q overlaps expAvgSq of p", Parameter.builder("q", p.expAvgSq()).build());
      refused(adam, "gradient of q overlaps data of p", q.gradient(p.data()).build());
      refused(adam, "gradient of q overlaps data of q", q.gradient(free).build());
      refused(
          adam, "anchor of q overlaps expAvg of p", q.gradient(null).anchor(p.expAvg()).build());
      refused(
          adam,
          "maxExpAvgSq of q is given, but its group is not AMSGrad",
          q.anchor(null)
              .moments(random(arena, 1, 100), random(arena, 2, 100))
              .maxExpAvgSq(random(arena, 3, 100))
              .build());
      adam.addParameter(
          adam.groups().getFirst(),
          Parameter.builder("q", free).gradient(p.gradient()).anchor(p.anchor()).build());
      adam.step();
      refused0(adam, "data of r overlaps data of q", Parameter.builder("r", free).build());
      refused0(adam, "two parameters are named q", parameter(arena, "q", 1, 1));
      illegalArgument(
          "gradient of p overlaps expAvg of q",
          () -> p.gradient(adam.parameters().getLast().expAvg()));
    }
  }

  private static void refused0(Adam adam, String message, Parameter parameter) {
    illegalArgument(message, () -> adam.addParameter(adam.groups().getFirst(), parameter));
  }

  @Test
  void anAmsgradGroupRefusesEightBitMoments() {
    ParameterGroup amsgrad = ParameterGroup.builder().amsgrad(true).build();
    Parameter p =
        Parameter.builder("p", random(arena, 1, 10)).momentType(MomentType.BLOCKWISE_8BIT).build();
    try (Adam adam = Adam.builder().group(amsgrad).build()) {
      illegalArgument(
          "moments of p are BLOCKWISE_8BIT, but its group is AMSGrad, which needs FLOAT32 or BFLOAT16",
          () -> adam.addParameter(amsgrad, p));
      Parameter q = parameter(arena, "q", 1, 10);
      adam.addParameter(amsgrad, q);
      adam.step();
      assertThat(q.maxExpAvgSq()).isNotNull();
    }
  }

  @Test
  void groupAndParameterAreChecked() {
    Parameter p = parameter(arena, "p", 1, 10);
    ParameterGroup group = ParameterGroup.builder().build();
    try (Adam adam = Adam.builder().group(group).build()) {
      nullPointer("group is null", () -> adam.addParameter(null, p));
      nullPointer("parameter is null", () -> adam.addParameter(group, null));
      illegalArgument(
          "the group has parameters, but is not one of this optimizer; a new group joins it without"
              + " parameters",
          () -> adam.addParameter(group(new NoDecay(), List.of(p)), p));
      try (Adam other = Adam.builder().group(ParameterGroup.builder().build()).build()) {
        illegalArgument(
            "the group belongs to another optimizer",
            () -> adam.addParameter(other.groups().getFirst(), p));
      }
      illegalArgument(
          "a group belongs to another optimizer: build a new one",
          () -> Adam.builder().group(group).build());
      ParameterGroup twice = ParameterGroup.builder().build();
      illegalArgument(
          "a group is given twice", () -> Adam.builder().group(twice).group(twice).build());
      ParameterGroup fresh = ParameterGroup.builder().build();
      adam.addParameter(group, parameter(arena, "q", 1, 10));
      illegalArgument(
          "two parameters are named q",
          () -> adam.addParameter(fresh, parameter(arena, "q", 1, 10)));
      assertThat(adam.groups()).containsExactly(group);
      adam.addParameter(fresh, p);
      assertThat(adam.groups()).containsExactly(group, fresh);
    }
    illegalArgument(
        "the optimizer has no group: add one, which may be empty until addParameter fills it",
        () -> Adam.builder().build());
  }
}
