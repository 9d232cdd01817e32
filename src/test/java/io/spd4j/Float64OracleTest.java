package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.StepCase.Types;
import io.spd4j.kernel.BlockTable;
import io.spd4j.kernel.Rule;
import io.spd4j.oracle.Float64Run;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Checks every CPU backend against equations in float64, at random settings of every rule. */
class Float64OracleTest {
  private static final int STEPS = 8;

  static Stream<Arguments> casesAndSeeds() {
    List<StepCase> cases = StepCase.all();
    return Stream.iterate(0, seed -> seed < 2 * cases.size(), seed -> seed + 1)
        .map(seed -> Arguments.of(cases.get(seed / 2), seed));
  }

  @ParameterizedTest
  @MethodSource("casesAndSeeds")
  void everyStepIsWithinItsBound(StepCase stepCase, int seed) {
    SplittableRandom random = new SplittableRandom(seed);
    boolean wild = seed % 2 == 1;
    Tensors tensors = stepCase.smallTensors(seed);
    List<Parameter> parameters = tensors.parameters;
    if (stepCase.types() != Types.FLOAT32) {
      // Rounding knows blocks only by the random words: one that begins a second block will do.
      parameters.removeIf(p -> p.numel() > BlockTable.BLOCK + 1);
    }
    for (Parameter p : parameters) {
      if (p.anchor() != null && wild && random.nextBoolean()) {
        bringNear(p, power(random, -6, 0));
      }
    }
    double lambda = wild ? power(random, -2, 2) : 1.5 * random.nextDouble();
    ParameterGroup group =
        stepCase
            .group()
            .lr(wild ? power(random, -6, 1) : 0.02 * random.nextDouble())
            .betas(0.99 * random.nextDouble(), 0.9999 * random.nextDouble())
            .eps(power(random, wild ? -30 : -8, 0))
            .maximize(random.nextBoolean())
            .decay(StepCase.at(stepCase.rule(), lambda))
            .parameters(parameters)
            .build();
    double gradScale = random.nextBoolean() ? 1 : 2 * random.nextDouble();
    List<Float64Run> oracles = new ArrayList<>();
    for (Parameter p : parameters) {
      oracles.add(new Float64Run(group, p, 0));
    }
    try (SideBySide all = SideBySide.onCpu(tensors, List.of(group))) {
      for (int step = 1; step <= STEPS; step++) {
        tensors.nextGradients();
        if (wild) {
          parameters.forEach(p -> scale(p, power(random, -20, 6), random));
        }
        all.stepOnly("step " + step, SideBySide.silent(adam -> adam.step(gradScale)));
        for (int i = 0; i < oracles.size(); i++) {
          Float64Run oracle = oracles.get(i);
          StepWithin.check(oracle, all.plain, parameters.get(i), (float) gradScale, "step " + step);
          assertThat(wild ? 0 : oracle.param().unbounded()).isZero();
        }
      }
    }
  }

  /** The oracle tells which neighbour a number is rounded to: with other random bits, others. */
  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.EXCLUDE,
      names = {"FLOAT32"})
  void otherRandomBitsAreOutOfBounds(MomentType moments) {
    Types types =
        new Types(ElementType.FLOAT16, false, ElementType.FLOAT32, ElementType.FLOAT32, moments);
    for (long seed : new long[] {5, 6}) {
      Tensors tensors = new Tensors(3, types);
      Parameter p = tensors.add("p", 5000, 0, true);
      ParameterGroup group = ParameterGroup.builder().parameter(p).build();
      Float64Run oracle = new Float64Run(group, p, seed);
      try (tensors;
          Adam adam = Adam.builder().seed(5).group(group).build()) {
        tensors.nextGradients();
        adam.step();
        oracle.step(p.gradient(), 1, false);
        double wrong = seed == 5 ? 0 : Double.POSITIVE_INFINITY;
        assertThat(oracle.param().part(p.data())).isEqualTo(wrong);
        assertThat(oracle.expAvgSq().part(p.expAvgSq())).isEqualTo(wrong);
      }
    }
  }

  @Test
  void everyRuleIsAmongTheCases() {
    assertThat(StepCase.RULES)
        .extracting(Object::getClass)
        .contains(DecayRule.class.getPermittedSubclasses());
    assertThat(StepCase.RULES).extracting(rule -> Rule.of(rule.id())).contains(Rule.values());
  }

  /** Returns a power of ten whose exponent is uniformly distributed. */
  private static double power(SplittableRandom random, int least, int most) {
    return Math.pow(10, least + (most - least) * random.nextDouble());
  }

  private static void bringNear(Parameter p, double factor) {
    for (long i = 0; i < p.numel(); i++) {
      float a = Tensors.get(p.anchor(), p.anchorType(), i);
      float near = (float) (a + factor * (Tensors.value(p, i) - a));
      Tensors.value(p, i, near);
    }
  }

  /** Multiplies a gradient by a factor, and each element by a random number from 0.001 to 1. */
  private static void scale(Parameter p, double factor, SplittableRandom random) {
    for (long i = 0; i < p.numel(); i++) {
      float g = Tensors.get(p.gradient(), p.gradientType(), i);
      double value = g * factor * power(random, -3, 0);
      Tensors.set(p.gradient(), p.gradientType(), i, (float) value);
    }
  }
}
