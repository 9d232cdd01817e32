package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Kernels;
import io.spd4j.oracle.Float64Run;
import io.spd4j.oracle.Kind;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every backend against the same equations in float64, at random settings of every rule. */
class Float64OracleTest {
  private static final int STEPS = 8;

  static Stream<Arguments> seedsAndKernels() {
    return IntStream.range(0, 36)
        .boxed()
        .flatMap(seed -> AllKernels.list().stream().map(k -> Arguments.of(seed, k)));
  }

  @ParameterizedTest
  @MethodSource("seedsAndKernels")
  void everyStepIsWithinItsBound(int seed, Kernels kernels) {
    SplittableRandom random = new SplittableRandom(seed);
    boolean wild = seed % 2 == 1;
    try (Model model = new Model(seed)) {
      model.add("anchored", 5000 + random.nextInt(9000), 4, true);
      model.add("origin", 1 + random.nextInt(300), 12, false);
      Parameter close = model.add("close", 1 + random.nextInt(300), 8, true);
      scale(close.data(), close.anchor(), wild ? power(random, -6, 0) : 1);
      ParameterGroup group =
          ParameterGroup.builder()
              .lr(wild ? power(random, -6, 1) : 0.02 * random.nextDouble())
              .betas(0.99 * random.nextDouble(), 0.9999 * random.nextDouble())
              .eps(power(random, wild ? -30 : -8, 0))
              .amsgrad(random.nextBoolean())
              .maximize(random.nextBoolean())
              .decay(rule(seed / 2, wild ? power(random, -2, 2) : 1.5 * random.nextDouble()))
              .parameters(model.parameters)
              .build();
      double gradScale = random.nextBoolean() ? 1 : 2 * random.nextDouble();
      List<Float64Run> oracles =
          model.parameters.stream()
              .map(p -> new Float64Run(group, Kind.CONTRACT, p.data(), p.anchor()))
              .toList();
      try (Adam adam = Adam.builder().group(group).kernels(kernels).threads(2).build()) {
        for (int step = 1; step <= STEPS; step++) {
          model.nextGradients();
          if (wild) {
            for (Parameter p : model.parameters) {
              scale(p.gradient(), power(random, -20, 6), random);
            }
          }
          adam.step(gradScale);
          for (int i = 0; i < oracles.size(); i++) {
            Parameter p = model.parameters.get(i);
            Float64Run oracle = oracles.get(i);
            StepWithin.check(oracle, adam, p, (float) gradScale, "step " + step);
            assertThat(wild ? 0 : oracle.param().unbounded()).isZero();
          }
        }
      }
    }
  }

  private static DecayRule rule(int choice, double lambda) {
    return switch (choice % 6) {
      case 0 -> new NoDecay();
      case 1 -> new WeightDecay(lambda);
      case 2 -> new L2SP(lambda);
      case 3 -> new L2SP(lambda, true);
      default -> new SelectiveProjectionDecay(lambda);
    };
  }

  /** Evenly distributed over the exponents. */
  private static double power(SplittableRandom random, int least, int most) {
    return Math.pow(10, least + (most - least) * random.nextDouble());
  }

  /** Brings values nearer to their anchor. */
  private static void scale(MemorySegment data, MemorySegment anchor, double factor) {
    for (long i = 0; i < data.byteSize() / Float.BYTES; i++) {
      float a = anchor.getAtIndex(JAVA_FLOAT, i);
      float near = (float) (a + factor * (data.getAtIndex(JAVA_FLOAT, i) - a));
      data.setAtIndex(JAVA_FLOAT, i, near);
    }
  }

  /** Spreads gradients over a factor, and over three magnitudes more by themselves. */
  private static void scale(MemorySegment gradient, double factor, SplittableRandom random) {
    for (long i = 0; i < gradient.byteSize() / Float.BYTES; i++) {
      double value = gradient.getAtIndex(JAVA_FLOAT, i) * factor * power(random, -3, 0);
      gradient.setAtIndex(JAVA_FLOAT, i, (float) value);
    }
  }
}
