package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every backend against the same equations in double, at random settings of every rule. */
class Float64OracleTest {
  private static final int STEPS = 8;

  static Stream<Arguments> seedsAndKernels() {
    return IntStream.range(0, 40)
        .boxed()
        .flatMap(seed -> AllKernels.list().stream().map(k -> Arguments.of(seed, k)));
  }

  @ParameterizedTest
  @MethodSource("seedsAndKernels")
  void staysWithinAFewRoundings(int seed, Kernels kernels) {
    Random random = new Random(seed);
    double lambda = 1.5 * random.nextDouble();
    DecayRule rule =
        List.of(
                new NoDecay(),
                new WeightDecay(lambda),
                new L2SP(lambda),
                new L2SP(lambda, true),
                new SelectiveProjectionDecay(lambda))
            .get(seed % 5);
    try (Model model = new Model(seed)) {
      model.add("anchored", 5000 + random.nextInt(9000), 4, true);
      model.add("origin", 1 + random.nextInt(300), 12, false);
      ParameterGroup group =
          ParameterGroup.builder()
              .lr(0.02 * random.nextDouble())
              .betas(0.99 * random.nextDouble(), 0.9999 * random.nextDouble())
              // Coupled L2-SP may cancel g; a tiny eps would then amplify the rounding of nothing.
              .eps(Math.pow(10, -4 + 2 * random.nextDouble()))
              .amsgrad(random.nextBoolean())
              .maximize(random.nextBoolean())
              .decay(rule)
              .parameters(model.parameters)
              .build();
      double gradScale = random.nextBoolean() ? 1 : 2 * random.nextDouble();
      List<Oracle> oracles = new ArrayList<>();
      model.parameters.forEach(p -> oracles.add(new Oracle(p, group)));
      try (Adam adam = Adam.builder().group(group).kernels(kernels).threads(2).build()) {
        for (int step = 1; step <= STEPS; step++) {
          model.nextGradients();
          for (Oracle oracle : oracles) {
            oracle.step(step, (float) gradScale);
          }
          adam.step(gradScale);
          for (Oracle oracle : oracles) {
            oracle.compare(adam, step);
          }
        }
      }
    }
  }

  /** One parameter in double, from the equations of native/NUMERICS.md. */
  private static final class Oracle {
    private final Parameter parameter;
    private final ParameterGroup group;
    private final int n;
    private final double[] theta;
    private final double[] anchor;
    private final double[] m;
    private final double[] v;
    private final double[] max;
    private double condition;
    private double cosine = 1;

    Oracle(Parameter parameter, ParameterGroup group) {
      this.parameter = parameter;
      this.group = group;
      n = (int) parameter.numel();
      theta = doubles(parameter.data());
      anchor = parameter.anchor() == null ? new double[n] : doubles(parameter.anchor());
      m = new double[n];
      v = new double[n];
      max = new double[n];
    }

    private static double[] doubles(MemorySegment segment) {
      double[] values = new double[(int) (segment.byteSize() / 4)];
      for (int i = 0; i < values.length; i++) {
        values[i] = segment.getAtIndex(JAVA_FLOAT, i);
      }
      return values;
    }

    void step(int t, double gradScale) {
      double lr = group.lr();
      double lambda = group.decay().lambda();
      double sign = group.maximize() ? -1 : 1;
      double dot = 0;
      double gradSq = 0;
      double before = 0;
      double after = 0;
      for (int i = 0; i < n; i++) {
        double g = sign * gradScale * parameter.gradient().getAtIndex(JAVA_FLOAT, i);
        double deviation = theta[i] - anchor[i];
        dot += g * deviation;
        gradSq += g * g;
        before += deviation * deviation;
        if (group.decay() instanceof L2SP l2sp && l2sp.coupled()) {
          g += lambda * deviation;
        }
        m[i] = group.beta1() * m[i] + (1 - group.beta1()) * g;
        v[i] = group.beta2() * v[i] + (1 - group.beta2()) * g * g;
        max[i] = Math.max(max[i], v[i]);
        double s = group.amsgrad() ? max[i] : v[i];
        double u =
            lr
                / (1 - Math.pow(group.beta1(), t))
                * m[i]
                / (Math.sqrt(s) / Math.sqrt(1 - Math.pow(group.beta2(), t)) + group.eps());
        switch (group.decay()) {
          case WeightDecay decay -> theta[i] = theta[i] * (1 - lr * lambda) - u;
          case L2SP l2sp when !l2sp.coupled() -> theta[i] -= lr * lambda * deviation + u;
          default -> theta[i] -= u;
        }
        after += (theta[i] - anchor[i]) * (theta[i] - anchor[i]);
      }
      condition = -dot;
      cosine = dot / Math.sqrt(gradSq * before);
      if (group.decay() instanceof SelectiveProjectionDecay && condition < 0) {
        double r = Math.clamp((Math.sqrt(after) - Math.sqrt(before)) / Math.sqrt(after), 0, 1);
        for (int i = 0; i < n; i++) {
          theta[i] -= lambda * r * (theta[i] - anchor[i]);
        }
      }
    }

    void compare(Adam adam, int step) {
      if (group.decay() instanceof SelectiveProjectionDecay) {
        // A decision that float32 could not take would show nothing.
        assertThat(Math.abs(cosine)).as("cosine of %s", parameter).isGreaterThan(1e-5);
        SpdReport report = adam.spdReport(parameter).orElseThrow();
        assertThat(report.selected()).as("%s", parameter).isEqualTo(condition < 0);
      }
      compare("data", parameter.data(), theta, step);
      compare("expAvg", parameter.expAvg(), m, step);
      compare("expAvgSq", parameter.expAvgSq(), v, step);
      if (group.amsgrad()) {
        compare("maxExpAvgSq", parameter.maxExpAvgSq(), max, step);
      }
    }

    private void compare(String what, MemorySegment actual, double[] expected, int step) {
      double largest = 0;
      double error = 0;
      for (int i = 0; i < n; i++) {
        largest = Math.max(largest, Math.abs(expected[i]));
        error = Math.max(error, Math.abs(actual.getAtIndex(JAVA_FLOAT, i) - expected[i]));
      }
      assertThat(error)
          .as("error of %s of %s", what, parameter)
          .isLessThanOrEqualTo(4 * Math.ulp(1f) * step * largest);
    }
  }
}
