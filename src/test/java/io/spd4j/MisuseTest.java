package io.spd4j;

import static io.spd4j.Optimizers.adam;
import static io.spd4j.Optimizers.group;
import static io.spd4j.Refusals.illegalState;
import static io.spd4j.Tensors.parameter;
import static io.spd4j.Tensors.random;
import static io.spd4j.Tensors.twins;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.BlockTable;
import io.spd4j.kernel.EachKernels;
import io.spd4j.kernel.Interpolands;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Calls at the wrong time, or from the wrong thread. */
class MisuseTest {
  @AutoClose private final Arena arena = Arena.ofShared();

  /** Returns an optimizer whose second parameter has one array in the arena odd. */
  private Adam adamWith(Arena odd, ParameterArray array) {
    MemorySegment[] a = new MemorySegment[6];
    for (ParameterArray k : ParameterArray.values()) {
      a[k.ordinal()] = random(k == array ? odd : arena, k.ordinal(), 100);
    }
    a[4].fill((byte) 0);
    a[5].fill((byte) 0);
    Parameter p = ParameterArray.parameter("odd", a);
    List<Parameter> both = List.of(parameter(arena, "even", 9, 100), p);
    return Adam.builder()
        .group(
            ParameterGroup.builder()
                .amsgrad(true)
                .decay(new SelectiveProjectionDecay(1))
                .parameters(both)
                .build())
        .build();
  }

  private static void refusedByAll(Adam adam, Class<? extends Throwable> type, String... message) {
    Parameter odd = adam.parameters().getLast();
    List<ThrowingCallable> calls =
        List.of(
            adam::step,
            () -> adam.step(2),
            () -> adam.stepClipped(1),
            () -> adam.stepClipped(1, 2),
            () -> adam.clipAndStep(1),
            adam::gradientNorm,
            () -> adam.stepParameter(odd),
            () -> adam.stepParameter(odd, 2));
    for (ThrowingCallable call : calls) {
      State before = State.of(adam);
      assertThatThrownBy(call).isInstanceOf(type).hasMessageContainingAll(message);
      assertThat(State.of(adam)).isEqualTo(before);
    }
  }

  @ParameterizedTest
  @EnumSource
  void anArrayInAClosedArenaIsNamed(ParameterArray array) {
    Arena odd = Arena.ofShared();
    try (Adam adam = adamWith(odd, array)) {
      adam.step();
      odd.close();
      refusedByAll(
          adam, IllegalStateException.class, array + " of odd", "lies in an arena that is closed");
      assertThat(adam.stepParameter(adam.parameters().getFirst())).isTrue();
      adam.parameters().getLast().gradient(null);
      adam.step();
      assertThat(adam.parameters()).extracting(Parameter::step).containsExactly(3L, 1L);
    }
  }

  @ParameterizedTest
  @EnumSource
  void anArrayInAnArenaClosedBeforeTheFirstStepIsNamed(ParameterArray array) {
    Arena odd = Arena.ofShared();
    try (Adam adam = adamWith(odd, array)) {
      odd.close();
      refusedByAll(
          adam, IllegalStateException.class, array + " of odd", "lies in an arena that is closed");
    }
  }

  @Test
  void aClosedGradientCanBeReplaced() {
    Arena odd = Arena.ofShared();
    try (Adam adam = adamWith(odd, ParameterArray.GRADIENT)) {
      adam.step();
      odd.close();
      adam.parameters().getLast().gradient(random(arena, 1, 100));
      adam.step();
      assertThat(adam.parameters()).extracting(Parameter::step).containsExactly(2L, 2L);
    }
  }

  @Test
  void theArenaOfAFrozenParameterMayBeClosed() {
    Arena odd = Arena.ofShared();
    Parameter gone = parameter(odd, "gone", 1, 100);
    Parameter stays = parameter(arena, "stays", 2, 100);
    try (Adam adam =
        Adam.builder()
            .group(group(new L2SP(1), List.of(gone)))
            .group(group(new L2SP(1), List.of(stays)))
            .build()) {
      adam.step();
      adam.groups().getFirst().frozen(true);
      odd.close();
      adam.step();
      assertThat(stays.step()).isEqualTo(2);
      assertThat(gone.step()).isEqualTo(1);
    }
  }

  @ParameterizedTest
  @EnumSource
  void onlyTheOwnerThreadStepsAConfinedArena(ParameterArray array) {
    try (Arena odd = Arena.ofConfined();
        Adam adam = adamWith(odd, array)) {
      adam.step();
      CompletableFuture.runAsync(() ->
              refusedByAll(
                  adam,
                  WrongThreadException.class,
                  array + " of odd",
                  "confined arena of another thread"))
          .join();
      adam.step();
      assertThat(adam.parameters()).extracting(Parameter::step).containsExactly(2L, 2L);
    }
  }

  /** Returns the calls that an optimizer refuses if it is closed, broken or stepping. */
  private static List<ThrowingCallable> calls(Adam adam, Parameter p) {
    return List.of(
        adam::step,
        () -> adam.step(2),
        () -> adam.stepClipped(1),
        () -> adam.clipAndStep(1),
        adam::gradientNorm,
        adam::uploadSettings,
        () -> adam.stepParameter(p),
        () -> p.gradient(p.gradient()),
        () -> p.gradient(null),
        () -> adam.addParameter(adam.groups().getFirst(), parameter(Arena.ofAuto(), "q", 1, 1)));
  }

  @Test
  void aClosedOptimizerRefusesEveryCall() {
    Parameter p = parameter(arena, "p", 1, 100);
    Adam adam = adam(AllKernels.list().getLast(), new NoDecay(), List.of(p));
    MemorySegment gradient = p.gradient();
    adam.step();
    adam.close();
    Map<?, ?> before = State.arrays(List.of(p));
    for (ThrowingCallable call : calls(adam, p)) {
      illegalState("the optimizer is closed", call);
    }
    assertThat(State.arrays(List.of(p))).isEqualTo(before);
    assertThat(p.step()).isEqualTo(1);
    assertThat(p.gradient()).isSameAs(gradient);
  }

  @Test
  void aClosedOptimizerStillReportsItsState() {
    Parameter p = parameter(arena, "p", 1, 100);
    Adam adam = Adam.builder().group(0.25, new SelectiveProjectionDecay(1), List.of(p)).build();
    adam.step();
    State before = State.of(adam);
    adam.close();
    adam.close();
    assertThat(adam.parameters()).containsExactly(p);
    assertThat(adam.groups().getFirst().lr()).isEqualTo(0.25);
    assertThat(adam.backend()).isNotNull();
    assertThat(adam.threads()).isPositive();
    assertThat(adam.spdReports()).isEqualTo(before.reports());
    assertThat(adam.spdReport(p)).isPresent();
    assertThat(p.step()).isEqualTo(1);
    assertThat(State.arrays(List.of(p)))
        .isEqualTo(without(before.arrays(), "expAvg of p", "expAvgSq of p"));
    assertThat(p.expAvg().scope().isAlive()).isFalse();
  }

  private static Map<String, ?> without(Map<String, ?> map, String... keys) {
    Map<String, ?> rest = new LinkedHashMap<>(map);
    List.of(keys).forEach(rest::remove);
    return rest;
  }

  @Test
  void closeKeepsTheCallersMoments() {
    MemorySegment m = random(arena, 2, 100);
    MemorySegment v = arena.allocate(400, 4);
    Parameter p =
        Parameter.builder("p", random(arena, 1, 100))
            .gradient(random(arena, 3, 100))
            .moments(m, v)
            .build();
    Adam adam = Adam.builder().group(1, new NoDecay(), List.of(p)).build();
    adam.step();
    Map<?, ?> before = State.arrays(List.of(p));
    adam.close();
    assertThat(p.expAvg()).isSameAs(m);
    assertThat(State.arrays(List.of(p))).isEqualTo(before);
  }

  @Test
  void aRefusedOptimizerLeavesItsParametersFree() {
    Parameter p = parameter(arena, "p", 1, 100);
    Parameter clash = parameter(arena, "p", 2, 100);
    assertThatThrownBy(() -> Adam.builder().group(1, new NoDecay(), List.of(p, clash)).build())
        .isInstanceOf(IllegalArgumentException.class);
    p.gradient(random(arena, 3, 100));
    try (Adam adam = Adam.builder().group(1, new NoDecay(), List.of(p)).build()) {
      adam.step();
      assertThat(p.step()).isEqualTo(1);
    }
  }

  /** Scalar kernels that throw a fault once it is set. */
  private static final class Breaking implements Kernels {
    private final Kernels scalar = AllKernels.list().getFirst();
    private RuntimeException fault;

    @Override
    public String name() {
      return "scalar";
    }

    @Override
    public String detail() {
      return "breaking";
    }

    @Override
    public void update(BlockTable table, long begin, long end) {
      scalar.update(table, begin, end - (fault == null ? 0 : 1));
      if (fault != null) {
        throw fault;
      }
    }

    @Override
    public void project(BlockTable table, long begin, long end) {
      scalar.project(table, begin, end);
    }

    @Override
    public void gradSq(BlockTable table, long begin, long end) {
      if (fault != null) {
        throw fault;
      }
      scalar.gradSq(table, begin, end);
    }

    @Override
    public void interpolate(Interpolands arrays) {
      scalar.interpolate(arrays);
    }
  }

  @Test
  void noStepFollowsAHalfDoneStep() {
    Breaking kernels = new Breaking();
    Parameter p = parameter(arena, "p", 1, 10_000);
    RuntimeException fault = new IllegalStateException("fault");
    try (Adam adam = adam(kernels, new L2SP(1), List.of(p))) {
      adam.step();
      kernels.fault = fault;
      assertThatThrownBy(adam::step).isSameAs(fault);
      kernels.fault = null;
      for (ThrowingCallable call : calls(adam, p)) {
        assertThatIllegalStateException()
            .isThrownBy(call)
            .withMessageContaining("broke off half done")
            .withCause(fault);
      }
      assertThat(p.step()).isEqualTo(1);
    }
  }

  @Test
  void aNormThatBreaksOffChangesNothing() {
    Breaking kernels = new Breaking();
    Parameter p = parameter(arena, "p", 1, 10_000);
    try (Adam adam = adam(kernels, new L2SP(1), List.of(p))) {
      State before = State.of(adam);
      kernels.fault = new IllegalStateException("fault");
      assertThatThrownBy(adam::gradientNorm).isSameAs(kernels.fault);
      assertThatThrownBy(() -> adam.stepClipped(1)).isSameAs(kernels.fault);
      assertThat(State.of(adam)).isEqualTo(before);
      kernels.fault = null;
      adam.stepClipped(1);
      assertThat(p.step()).isEqualTo(1);
    }
  }

  /** Makes calls that are refused during a step; returns what each threw, or null. */
  private static List<Throwable> duringAStep(Adam adam) {
    List<ThrowingCallable> calls = new ArrayList<>(calls(adam, adam.parameters().getFirst()));
    calls.add(adam::close);
    List<Throwable> thrown = new ArrayList<>();
    for (ThrowingCallable call : calls) {
      try {
        call.call();
        thrown.add(null);
      } catch (Throwable e) {
        thrown.add(e);
      }
    }
    return thrown;
  }

  @EachKernels
  void nothingElseRunsDuringAStep(Kernels kernels) {
    List<Parameter> parameters = List.of(parameter(arena, "p", 1, 200_000));
    List<Parameter> copies = twins(arena, parameters);
    List<Throwable> thrown = new ArrayList<>();
    Adam[] adam = new Adam[1];
    adam[0] =
        Adam.builder()
            .kernels(kernels)
            .threads(3)
            .group(group(new SelectiveProjectionDecay(1), parameters))
            .executor(helper -> {
              thrown.addAll(duringAStep(adam[0]));
              thrown.addAll(CompletableFuture.supplyAsync(() -> duringAStep(adam[0])).join());
            })
            .build();
    try (Adam plain = adam(kernels, new SelectiveProjectionDecay(1), copies)) {
      adam[0].step();
      plain.step();
      assertThat(State.of(adam[0])).isEqualTo(State.of(plain));
    }
    assertThat(thrown)
        .hasSize(2 * 2 * 11)
        .allSatisfy(e ->
            assertThat(e)
                .isExactlyInstanceOf(IllegalStateException.class)
                .hasMessageStartingWith("a step is under way"));
    adam[0].close();
    assertThatIllegalStateException().isThrownBy(adam[0]::step).withMessageContaining("closed");
  }
}
