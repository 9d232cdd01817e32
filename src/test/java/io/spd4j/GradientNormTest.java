package io.spd4j;

import static io.spd4j.Optimizers.adam;
import static io.spd4j.Optimizers.group;
import static io.spd4j.StepCase.RULES;
import static io.spd4j.Tensors.of;
import static io.spd4j.Tensors.parameter;
import static io.spd4j.Tensors.twins;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.EachKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The global norm of the gradients, and steps that clip the gradients to a maximum norm. */
class GradientNormTest {
  @AutoClose private final Arena arena = Arena.ofShared();

  private List<Parameter> tensors() {
    List<Parameter> tensors = new ArrayList<>();
    for (int n : new int[] {1, 0, 63, 4097, 100, 150_001}) {
      tensors.add(parameter(arena, "t" + tensors.size(), n + 1, n));
    }
    return tensors;
  }

  /** Returns the norm, using the compensated sum of DoubleStream. */
  private static double norm(List<Parameter> parameters) {
    return Math.sqrt(
        parameters.stream()
            .flatMapToDouble(p ->
                IntStream.range(0, (int) p.numel())
                    .mapToDouble(i -> p.gradient().getAtIndex(JAVA_FLOAT, i))
                    .map(g -> g * g))
            .sum());
  }

  @EachKernels
  void isTheRootOfTheSumOfSquares(Kernels kernels) {
    List<Parameter> tensors = tensors();
    try (Adam adam = adam(kernels, new NoDecay(), tensors)) {
      double norm = norm(tensors);
      assertThat(adam.gradientNorm()).isCloseTo(norm, within(1e-14 * norm));
    }
  }

  @Test
  void hasTheSameBitsForAllKernelsThreadsAndRules() {
    List<Parameter> tensors = tensors();
    List<Double> norms = new ArrayList<>();
    for (Kernels kernels : AllKernels.list()) {
      for (int threads : new int[] {1, 2, 3, 7}) {
        for (DecayRule rule : List.of(new NoDecay(), new SelectiveProjectionDecay(1))) {
          List<Parameter> copies = twins(arena, tensors);
          try (Adam adam = adam(kernels, threads, group(rule, copies))) {
            norms.add(adam.gradientNorm());
            norms.add(adam.stepClipped(1));
            norms.add(adam.stepClipped(1, 0.25) * 4);
          }
        }
      }
    }
    assertThat(norms).containsOnly(norms.getFirst());
  }

  @EachKernels
  void anyNonFiniteGradientMakesItNonFinite(Kernels kernels) {
    List<Parameter> tensors = tensors();
    SplittableRandom random = new SplittableRandom(1);
    try (Adam adam = adam(kernels, new NoDecay(), tensors)) {
      for (Parameter p : tensors) {
        for (int k = 0; k < 12 && p.numel() > 0; k++) {
          long at = k == 0 ? 0 : k == 1 ? p.numel() - 1 : random.nextLong(p.numel());
          float before = p.gradient().getAtIndex(JAVA_FLOAT, at);
          for (float bad :
              new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            p.gradient().setAtIndex(JAVA_FLOAT, at, bad);
            assertThat(Double.isFinite(adam.gradientNorm())).as("%s[%d] %s", p, at, bad).isFalse();
          }
          p.gradient().setAtIndex(JAVA_FLOAT, at, before);
        }
      }
      assertThat(adam.gradientNorm()).isFinite();
    }
  }

  @EachKernels
  void theLargestGradientsDoNotOverflowAndTheSmallestDoNotVanish(Kernels kernels) {
    for (float g : new float[] {Float.MAX_VALUE, -Float.MAX_VALUE, Float.MIN_VALUE}) {
      Parameter p = parameter(arena, "p", 1, 10_000);
      for (long i = 0; i < p.numel(); i++) {
        p.gradient().setAtIndex(JAVA_FLOAT, i, g);
      }
      try (Adam adam = adam(kernels, new NoDecay(), List.of(p))) {
        double norm = 100.0 * Math.abs(g);
        assertThat(adam.gradientNorm()).isCloseTo(norm, within(1e-14 * norm));
      }
    }
  }

  @EachKernels
  void coversWhatTheNextStepSteps(Kernels kernels) {
    List<Parameter> tensors = tensors();
    ParameterGroup first = group(new NoDecay(), tensors.subList(0, 4));
    ParameterGroup second = group(new NoDecay(), tensors.subList(4, 6));
    try (Adam adam = adam(kernels, 2, first, second)) {
      first.frozen(true);
      isCloseToNorm(adam, tensors.subList(4, 6));
      first.frozen(false);
      second.frozen(true);
      isCloseToNorm(adam, tensors.subList(0, 4));
      tensors.get(3).gradient().setAtIndex(JAVA_FLOAT, 9, Float.NaN);
      tensors.get(3).gradient(null);
      isCloseToNorm(adam, tensors.subList(0, 3));
      first.frozen(true);
      assertThat(adam.gradientNorm()).isZero();
    }
  }

  private static void isCloseToNorm(Adam adam, List<Parameter> parameters) {
    double norm = norm(parameters);
    assertThat(adam.gradientNorm()).isCloseTo(norm, within(1e-14 * norm));
    assertThat(norm).isPositive();
  }

  @ParameterizedTest
  @ValueSource(doubles = {1e-3, 1, 100, 1e9, Double.POSITIVE_INFINITY})
  void clipsLikePyTorch(double maxNorm) {
    for (Kernels kernels : AllKernels.list()) {
      for (DecayRule rule : RULES) {
        List<Parameter> tensors = tensors().subList(0, 5);
        try (Adam clipped = adam(kernels, rule, tensors);
            Adam scaled = adam(kernels, rule, twins(arena, tensors))) {
          double norm = scaled.gradientNorm();
          assertThat(clipped.stepClipped(maxNorm)).isEqualTo(norm);
          scaled.step(Math.min(1, maxNorm / (norm + 1e-6)));
          assertThat(State.of(clipped)).isEqualTo(State.of(scaled));
          double after = norm * 0.5;
          assertThat(clipped.stepClipped(maxNorm, 0.5)).isEqualTo(after);
          scaled.step(0.5 * Math.min(1, maxNorm / (after + 1e-6)));
          assertThat(State.of(clipped)).isEqualTo(State.of(scaled));
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {1e-3, 100, Double.POSITIVE_INFINITY})
  void clipAndStepMatchesStepClipped(double maxNorm) {
    for (DecayRule rule : RULES) {
      List<Parameter> tensors = tensors();
      try (Adam silent = Adam.builder().group(group(rule, tensors)).build();
          Adam telling = Adam.builder().group(group(rule, twins(arena, tensors))).build()) {
        silent.clipAndStep(maxNorm);
        telling.stepClipped(maxNorm);
        assertThat(State.of(silent)).isEqualTo(State.of(telling));
        silent.clipAndStep(maxNorm, 0.5);
        silent.uploadSettings();
        telling.stepClipped(maxNorm, 0.5);
        assertThat(State.of(silent)).isEqualTo(State.of(telling));
        assertThat(tensors).extracting(Parameter::step).containsOnly(2L);
        tensors.getLast().gradient().setAtIndex(JAVA_FLOAT, 150_000, Float.NaN);
        State before = State.of(silent);
        silent.clipAndStep(maxNorm);
        assertThat(State.of(silent)).isEqualTo(before);
      }
    }
  }

  @EachKernels
  void aNonFiniteGradientSkipsTheWholeStep(Kernels kernels) {
    for (DecayRule rule : RULES) {
      List<Parameter> tensors = tensors().subList(0, 5);
      try (Adam adam = adam(kernels, rule, tensors)) {
        adam.step();
        for (float bad : new float[] {Float.NaN, Float.NEGATIVE_INFINITY}) {
          float before = tensors.get(3).gradient().getAtIndex(JAVA_FLOAT, 4096);
          tensors.get(3).gradient().setAtIndex(JAVA_FLOAT, 4096, bad);
          State state = State.of(adam);
          assertThat(Double.isFinite(adam.stepClipped(1))).isFalse();
          assertThat(Double.isFinite(adam.stepClipped(Double.POSITIVE_INFINITY, 1e-3))).isFalse();
          assertThat(State.of(adam)).isEqualTo(state);
          tensors.get(3).gradient().setAtIndex(JAVA_FLOAT, 4096, before);
        }
        assertThat(adam.stepClipped(1)).isFinite();
        assertThat(adam.parameters()).extracting(Parameter::step).containsOnly(2L);
      }
    }
  }

  @Test
  void zeroGradientsAreStepped() {
    Parameter p = Parameter.of("p", of(arena, 1, 2), of(arena, 0, 0));
    try (Adam adam = Adam.builder().group(0.1, new WeightDecay(0.5), List.of(p)).build()) {
      assertThat(adam.stepClipped(1)).isZero();
      assertThat(p.step()).isEqualTo(1);
      assertThat(Tensors.floats(p.data())).containsExactly(0.95f, 1.9f);
    }
  }

  @EachKernels
  void aStepThatWouldOverflowIsSkipped(Kernels kernels) {
    for (DecayRule rule : RULES) {
      List<Parameter> tensors = tensors().subList(0, 5);
      try (Adam adam = adam(kernels, rule, tensors)) {
        adam.step();
        tensors.get(3).gradient().setAtIndex(JAVA_FLOAT, 4096, 1e10f);
        State state = State.of(adam);
        for (double maxNorm : new double[] {Double.POSITIVE_INFINITY, 1e39, 1e19}) {
          assertThat(adam.stepClipped(maxNorm, 1e38)).isEqualTo(Double.POSITIVE_INFINITY);
          adam.clipAndStep(maxNorm, 1e38);
        }
        assertThat(State.of(adam)).isEqualTo(state);
        double norm = adam.gradientNorm();
        assertThat(adam.stepClipped(9e18, 1e38)).isEqualTo(norm * 1e38).isGreaterThan(1e47);
        assertThat(adam.parameters()).extracting(Parameter::step).containsOnly(2L);
        for (Parameter p : tensors) {
          assertFinite(p.data());
          assertFinite(p.expAvg());
          assertFinite(p.expAvgSq());
        }
      }
    }
  }

  private static void assertFinite(MemorySegment floats) {
    assertThat(Tensors.floats(floats)).doesNotContain(Float.POSITIVE_INFINITY, Float.NaN);
  }

  @EachKernels
  void theLimitIsThatOfTheRoundedFactor(Kernels kernels) {
    double none = Double.POSITIVE_INFINITY;
    Parameter p = Parameter.of("p", of(arena, 1), of(arena, Math.nextDown(0x1p63f)));
    try (Adam adam = adam(kernels, new NoDecay(), List.of(p))) {
      assertThat(adam.stepClipped(none)).isEqualTo(Math.nextDown(0x1p63f));
      assertThat(adam.stepClipped(none, 1 + 0x1p-20)).isInfinite();
      p.gradient().setAtIndex(JAVA_FLOAT, 0, -0x1p63f);
      assertThat(adam.stepClipped(none)).isInfinite();
      assertThat(adam.stepClipped(none, 1 - 0x1p-30)).isInfinite(); // 1 as a float
      assertThat(adam.stepClipped(none, 1 - 0x1p-20)).isEqualTo(0x1p63 - 0x1p43);
      assertThat(p.step()).isEqualTo(2);
      assertThat(adam.gradientNorm()).isEqualTo(0x1p63);
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {0, 0.5, 0.999})
  void momentsOfStepsThatAreNotSkippedStayFinite(double beta2) {
    for (Kernels kernels : AllKernels.list()) {
      for (MomentType type : MomentType.values()) {
        Parameter p =
            Parameter.builder("p", of(arena, 1))
                .gradient(of(arena, Math.nextDown(0x1p63f)))
                .momentType(type)
                .build();
        ParameterGroup group =
            ParameterGroup.builder().lr(0.1).betas(0.9, beta2).parameters(List.of(p)).build();
        try (Adam adam = adam(kernels, 1, group)) {
          for (int s = 0; s < 1000; s++) {
            assertThat(adam.stepClipped(Double.POSITIVE_INFINITY)).isFinite();
          }
          float before = Tensors.floats(p.data())[0];
          adam.step(); // by 0 if the second moment is infinite, by NaN if the first one is, too
          assertThat(Tensors.floats(p.data())[0]).isFinite().isNotEqualTo(before);
        }
      }
    }
  }

  @Test
  void ranksSkipAlike() {
    ThreadRanks.run(
        2,
        ranks -> {
          try (Arena own = Arena.ofShared()) {
            Parameter p = parameter(own, "p", 1, 10_000);
            p.gradient().setAtIndex(JAVA_FLOAT, 9_999, 1e10f);
            try (Adam adam =
                Adam.builder().ranks(ranks).group(0.1, new L2SP(0.1), List.of(p)).build()) {
              assertThat(adam.stepClipped(Double.POSITIVE_INFINITY, 1e38)).isInfinite();
              assertThat(p.step()).isZero();
              assertThat(adam.stepClipped(1, 1e38)).isFinite();
              assertThat(p.step()).isEqualTo(1);
              assertFinite(p.data());
            }
          }
          return null;
        });
  }
}
