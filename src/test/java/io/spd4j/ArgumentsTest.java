package io.spd4j;

import static io.spd4j.Refusals.nullPointer;
import static io.spd4j.Tensors.copy;
import static io.spd4j.Tensors.floats;
import static io.spd4j.Tensors.of;
import static io.spd4j.Tensors.parameter;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.spd4j.kernel.EachKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.function.DoubleConsumer;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Wrong arguments are refused by name before anything is written. */
class ArgumentsTest {
  @AutoClose private final Arena arena = Arena.ofShared();

  /** Returns a parameter of four elements with one array replaced. */
  private Parameter with(ParameterArray array, MemorySegment replacement) {
    MemorySegment[] arrays = new MemorySegment[6];
    Arrays.setAll(arrays, i -> arena.allocate(16, 4));
    arrays[array.ordinal()] = replacement;
    return ParameterArray.parameter("p", arrays);
  }

  private static void refused(ThrowingCallable call, String... message) {
    assertThatIllegalArgumentException().isThrownBy(call).withMessageContainingAll(message);
  }

  private static void isNull(ThrowingCallable call, String what) {
    nullPointer(what + " is null", call);
  }

  /** Asserts that the optimizer refuses the call, keeps its state, and still steps. */
  private static void refusedBy(Adam adam, ThrowingCallable call, String... message) {
    State before = State.of(adam);
    refused(call, message);
    assertThat(State.of(adam)).isEqualTo(before);
    adam.step();
    assertThat(State.of(adam)).isNotEqualTo(before);
  }

  private Adam adam() {
    return Adam.builder()
        .group(0.1, new SelectiveProjectionDecay(1), List.of(parameter(arena, "p", 1, 100)))
        .build();
  }

  @Test
  void nullIsNamed() {
    MemorySegment a = of(arena, 1);
    isNull(() -> Parameter.builder(null, a).build(), "name");
    isNull(() -> Parameter.of(null, a, a), "name");
    isNull(() -> Parameter.builder("p", null).build(), "data of p");
    isNull(() -> Parameter.of("p", null, a), "data of p");
    isNull(() -> Parameter.of("p", a, null), "gradient of p");
    isNull(() -> Parameter.of("p", a, null, a), "gradient of p");
    isNull(() -> Parameter.of("p", a, a, null), "anchor of p");
    isNull(() -> ParameterGroup.builder().parameter(null), "parameter");
    isNull(() -> ParameterGroup.builder().parameters(null), "parameters");
    isNull(() -> ParameterGroup.builder().parameters(Collections.singletonList(null)), "parameter");
    isNull(() -> ParameterGroup.builder().decay(null), "decay");
    isNull(() -> ParameterGroup.builder().build().decay(null), "decay");
    isNull(() -> Adam.builder().group(null), "group");
    isNull(() -> Adam.builder().group(1, null, List.of()), "decay");
    isNull(() -> Adam.builder().group(1, new NoDecay(), null), "parameters");
    isNull(() -> Adam.builder().backend(null), "backend");
    isNull(() -> Adam.builder().executor(null), "executor");
  }

  @Test
  void nullIsNamedByAnOptimizer() {
    try (Adam adam = adam()) {
      State before = State.of(adam);
      isNull(() -> adam.stepParameter(null), "parameter");
      isNull(() -> adam.stepParameter(null, 2), "parameter");
      isNull(() -> adam.spdReport(null), "parameter");
      isNull(() -> adam.groups().getFirst().decay(null), "decay");
      assertThat(State.of(adam)).isEqualTo(before);
      adam.step();
      assertThat(adam.parameters().getFirst().step()).isEqualTo(1);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"", " ", "\t\n"})
  void aBlankNameIsRefused(String name) {
    refused(() -> Parameter.builder(name, of(arena, 1)).build(), "name is blank");
  }

  @ParameterizedTest
  @EnumSource
  void anArrayOnTheHeapIsRefused(ParameterArray array) {
    refused(
        () -> with(array, MemorySegment.ofArray(new float[4])),
        array + " of p",
        "lies on the Java heap");
  }

  @ParameterizedTest
  @EnumSource
  void anArrayOfAnotherSizeIsRefused(ParameterArray array) {
    String[] message =
        array == ParameterArray.DATA
            ? new String[] {"gradient of p", "has 16 bytes; 5 elements of FLOAT32 take 20"}
            : new String[] {array + " of p", "has 20 bytes; 4 elements of FLOAT32 take 16"};
    refused(() -> with(array, arena.allocate(20, 4)), message);
  }

  @ParameterizedTest
  @EnumSource
  void aSizeThatIsNotAMultipleOfFourIsRefused(ParameterArray array) {
    refused(
        () -> with(array, arena.allocate(18, 4)), array + " of p", "has 18 bytes, not a multiple");
  }

  @ParameterizedTest
  @EnumSource
  void aMisalignedArrayIsRefused(ParameterArray array) {
    for (int shift = 1; shift < 4; shift++) {
      MemorySegment misaligned = arena.allocate(20, 4).asSlice(shift, 16);
      refused(() -> with(array, misaligned), array + " of p", "not a multiple of 4");
    }
  }

  @ParameterizedTest
  @EnumSource
  void anArrayInAClosedArenaIsRefused(ParameterArray array) {
    Arena closed = Arena.ofShared();
    MemorySegment segment = closed.allocate(16, 4);
    closed.close();
    refused(() -> with(array, segment), array + " of p", "lies in an arena that is closed");
  }

  @ParameterizedTest
  @EnumSource
  void aReadOnlyArrayIsRefusedIfStepsWriteIt(ParameterArray array) {
    MemorySegment readOnly = arena.allocate(16, 4).asReadOnly();
    if (array.written) {
      refused(() -> with(array, readOnly), array + " of p", "read-only");
    } else {
      assertThat(with(array, readOnly).numel()).isEqualTo(4);
    }
  }

  @EachKernels
  void readOnlyGradientsAndAnchorsAreStepped(Kernels kernels) {
    Parameter writable = parameter(arena, "p", 1, 100);
    Parameter readOnly =
        Parameter.of(
            "p",
            copy(arena, writable.data()),
            writable.gradient().asReadOnly(),
            writable.anchor().asReadOnly());
    try (Adam a = Optimizers.adam(kernels, new L2SP(0.1), List.of(writable));
        Adam b = Optimizers.adam(kernels, new L2SP(0.1), List.of(readOnly))) {
      a.step();
      b.step();
      assertThat(State.of(b)).isEqualTo(State.of(a));
      assertThat(b.gradientNorm()).isEqualTo(a.gradientNorm());
    }
  }

  @Test
  void aGradientThatIsSetLaterIsChecked() {
    Arena shortLived = Arena.ofShared();
    MemorySegment closed = shortLived.allocate(400, 4);
    shortLived.close();
    try (Adam adam = adam()) {
      Parameter p = adam.parameters().getFirst();
      MemorySegment gradient = p.gradient();
      for (MemorySegment wrong :
          List.of(
              MemorySegment.ofArray(new float[100]),
              closed,
              arena.allocate(404, 4),
              arena.allocate(402, 4),
              arena.allocate(408, 4).asSlice(2, 400))) {
        refusedBy(adam, () -> p.gradient(wrong), "gradient of p");
        assertThat(p.gradient()).isSameAs(gradient);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"true,false", "false,true"})
  void incompleteMomentsAreRefused(boolean first, boolean second) {
    MemorySegment m = of(arena, 1);
    refused(
        () ->
            Parameter.builder("p", of(arena, 1))
                .moments(first ? m : null, second ? m : null)
                .build(),
        "moments of p",
        (first ? "expAvgSq" : "expAvg") + " is missing");
  }

  @Test
  void aMaximumNeedsMomentsAndAmsgrad() {
    MemorySegment max = of(arena, 1);
    refused(
        () -> Parameter.builder("p", of(arena, 1)).maxExpAvgSq(max).build(),
        "maxExpAvgSq of p",
        "without the moments");
    Parameter p = with(ParameterArray.DATA, of(arena, 1, 2, 3, 4));
    refused(
        () -> Adam.builder().group(1, new NoDecay(), List.of(p)).build(),
        "maxExpAvgSq of p",
        "not AMSGrad");
    assertThat(floats(p.data())).containsExactly(1, 2, 3, 4);
    try (Adam adam =
        Adam.builder().group(ParameterGroup.builder().amsgrad(true).parameter(p).build()).build()) {
      assertThat(adam.parameters()).containsExactly(p);
    }
  }

  @Test
  void amsgradThatHasTakenStepsNeedsItsMaximum() {
    Parameter p =
        Parameter.builder("p", of(arena, 1)).moments(of(arena, 1), of(arena, 1)).step(50).build();
    ParameterGroup group = ParameterGroup.builder().amsgrad(true).parameter(p).build();
    refused(
        () -> Adam.builder().group(group).build(),
        "maxExpAvgSq of p is missing",
        "AMSGrad",
        "50 steps");
    assertThat(p.owner()).isNull();
    Parameter begun =
        Parameter.builder("p", of(arena, 1)).moments(of(arena, 0), of(arena, 0)).build();
    ParameterGroup first = ParameterGroup.builder().amsgrad(true).parameter(begun).build();
    try (Adam adam = Adam.builder().group(first).build()) {
      assertThat(adam.parameters().getFirst().maxExpAvgSq()).isNotNull();
    }
  }

  @Test
  void aScaleThatIsZeroInFloat32IsRefused() {
    try (Adam adam = adam()) {
      refused(() -> adam.step(1e-50), "gradScale", "1.0E-50", "float32");
    }
  }

  @Test
  void aStepCountWithoutMomentsIsRefused() {
    refused(
        () -> Parameter.builder("p", of(arena, 1)).step(9).build(), "step of p", "9", "moments");
  }

  @ParameterizedTest
  @ValueSource(longs = {-1, Long.MIN_VALUE, (1L << 53) + 1, Long.MAX_VALUE - 1, Long.MAX_VALUE})
  void aStepCountOutOfRangeIsRefused(long step) {
    MemorySegment moments = of(arena, 1);
    refused(
        () -> Parameter.builder("p", of(arena, 1)).moments(moments, moments).step(step).build(),
        "step of p must be 0 to 2^53, not " + step);
  }

  @Test
  void theLargestStepCountIsStepped() {
    Parameter p =
        Parameter.builder("p", of(arena, 1))
            .gradient(of(arena, 1))
            .moments(of(arena, 0), of(arena, 0))
            .step(1L << 53)
            .build();
    try (Adam adam = Adam.builder().group(0.1, new NoDecay(), List.of(p)).build()) {
      adam.step();
      assertThat(p.step()).isEqualTo((1L << 53) + 1);
      assertThat(Tensors.floats(p.data())[0]).isLessThan(1);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, -1})
  void fewerThanOneThreadIsRefused(int threads) {
    refused(() -> Adam.builder().threads(threads), "threads", "" + threads);
  }

  private record Setter(String name, DoubleConsumer to) {
    @Override
    public String toString() {
      return name;
    }
  }

  /** Returns setters of numbers that must be 0 or more and finite in float32. */
  static Stream<Setter> nonNegative() {
    ParameterGroup group = ParameterGroup.builder().build();
    Stream<Setter> settings =
        Stream.of(
            new Setter("lr", x -> ParameterGroup.builder().lr(x)),
            new Setter("lr", group::lr),
            new Setter("lr", x -> Adam.builder().group(x, new NoDecay(), List.of())),
            new Setter("eps", x -> ParameterGroup.builder().eps(x)));
    Stream<Setter> rules =
        StepCase.RULES.stream()
            .filter(rule -> !(rule instanceof NoDecay))
            .map(rule -> new Setter("lambda", rule::withLambda));
    return Stream.concat(settings, rules);
  }

  @ParameterizedTest
  @MethodSource("nonNegative")
  void hyperparametersAreZeroOrMoreAndFinite(Setter set) {
    for (double x : new double[] {-1, -Double.MIN_VALUE, Double.NaN, Double.NEGATIVE_INFINITY}) {
      refused(() -> set.to.accept(x), set.name + " must be 0 or more", "" + x);
    }
    for (double x : new double[] {Double.POSITIVE_INFINITY, 1e39, Double.MAX_VALUE}) {
      refused(() -> set.to.accept(x), set.name + " must be finite in float32", "" + x);
    }
    for (double x : new double[] {0, -0.0, Double.MIN_VALUE, 1, Float.MAX_VALUE}) {
      set.to.accept(x);
    }
  }

  @Test
  void aRefusedLearningRateLeavesTheOldOne() {
    try (Adam adam = adam()) {
      ParameterGroup group = adam.groups().getFirst();
      refusedBy(adam, () -> group.lr(Double.NaN), "lr");
      assertThat(group.lr()).isEqualTo(0.1);
    }
  }

  @ParameterizedTest
  @ValueSource(
      doubles = {-0.1, 1, 1.5, 0.99999999999, Double.NaN, Double.POSITIVE_INFINITY, -1e-300})
  void betasAreAtLeastZeroAndLessThanOne(double beta) {
    refused(() -> ParameterGroup.builder().betas(beta, 0.9), "beta1", "" + beta);
    refused(() -> ParameterGroup.builder().betas(0.9, beta), "beta2", "" + beta);
  }

  @Test
  void betasMayBeZeroAndAlmostOne() {
    ParameterGroup group = ParameterGroup.builder().betas(0, 0.9999999).build();
    assertThat(group.beta1()).isZero();
    assertThat(group.beta2()).isEqualTo(0.9999999);
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, -0.0, -1, Double.NaN, Double.NEGATIVE_INFINITY})
  void scaleAndNormAreMoreThanZero(double x) {
    try (Adam adam = adam()) {
      Parameter p = adam.parameters().getFirst();
      refusedBy(adam, () -> adam.step(x), "gradScale must be more than 0", "" + x);
      refusedBy(adam, () -> adam.stepParameter(p, x), "gradScale must be more than 0", "" + x);
      refusedBy(adam, () -> adam.stepClipped(1, x), "gradScale must be more than 0", "" + x);
      refusedBy(adam, () -> adam.stepClipped(x), "maxNorm must be more than 0", "" + x);
      refusedBy(adam, () -> adam.stepClipped(x, 1), "maxNorm must be more than 0", "" + x);
      refusedBy(adam, () -> adam.clipAndStep(1, x), "gradScale must be more than 0", "" + x);
      refusedBy(adam, () -> adam.clipAndStep(x), "maxNorm must be more than 0", "" + x);
      refusedBy(adam, () -> adam.clipAndStep(x, 1), "maxNorm must be more than 0", "" + x);
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {Double.POSITIVE_INFINITY, 1e39})
  void scaleIsFinite(double x) {
    try (Adam adam = adam()) {
      Parameter p = adam.parameters().getFirst();
      refusedBy(adam, () -> adam.step(x), "gradScale must be finite", "" + x);
      refusedBy(adam, () -> adam.stepParameter(p, x), "gradScale must be finite", "" + x);
      refusedBy(adam, () -> adam.stepClipped(1, x), "gradScale must be finite", "" + x);
      refusedBy(adam, () -> adam.clipAndStep(1, x), "gradScale must be finite", "" + x);
    }
  }

  @Test
  void twoParametersWithOneNameAreRefused() {
    Parameter a = parameter(arena, "same", 1, 4);
    Parameter b = parameter(arena, "same", 2, 4);
    refused(
        () ->
            Adam.builder()
                .group(1, new NoDecay(), List.of(a))
                .group(1, new NoDecay(), List.of(b))
                .build(),
        "two parameters are named same");
    Adam.builder().group(1, new NoDecay(), List.of(a)).build().close();
  }

  @Test
  void aParameterGivenTwiceIsRefused() {
    Parameter p = parameter(arena, "p", 1, 4);
    String message = "p is given twice: a parameter belongs to one group";
    refused(() -> Adam.builder().group(1, new NoDecay(), List.of(p, p)).build(), message);
    ParameterGroup group = ParameterGroup.builder().parameter(p).build();
    ParameterGroup other = ParameterGroup.builder().parameter(p).build();
    refused(() -> Adam.builder().group(group).group(other).build(), message);
    refused(() -> Adam.builder().group(group).group(group).build(), message);
    Adam.builder().group(group).build().close();
  }

  @Test
  void aParameterOfAClosedOptimizerIsRefused() {
    Adam closed = adam();
    Parameter p = closed.parameters().getFirst();
    closed.close();
    refused(
        () -> Adam.builder().group(1, new NoDecay(), List.of(p)).build(),
        "p belongs to an optimizer that is closed: build a new Parameter over its arrays");
    Parameter again = Parameter.of("p", p.data(), p.gradient(), p.anchor());
    Adam.builder().group(1, new NoDecay(), List.of(again)).build().close();
    refused(
        () -> Parameter.builder("p", p.data()).moments(p.expAvg(), p.expAvgSq()).build(),
        "expAvg of p lies in an arena that is closed");
  }

  @Test
  void aParameterBelongsToOneOptimizer() {
    try (Adam first = adam();
        Adam other = adam()) {
      Parameter p = first.parameters().getFirst();
      refusedBy(
          first,
          () -> Adam.builder().group(1, new NoDecay(), List.of(p)).build(),
          "p belongs to another optimizer");
      refusedBy(other, () -> other.stepParameter(p), "p is not a parameter of this optimizer");
      refusedBy(other, () -> other.spdReport(p), "p is not a parameter of this optimizer");
      Parameter free = parameter(arena, "free", 1, 4);
      refusedBy(other, () -> other.stepParameter(free), "free is not a parameter");
    }
  }
}
