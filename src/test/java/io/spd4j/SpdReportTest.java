package io.spd4j;

import static io.spd4j.Optimizers.adam;
import static io.spd4j.Tensors.floats;
import static io.spd4j.Tensors.of;
import static io.spd4j.Tensors.parameter;
import static io.spd4j.Tensors.selected;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.spd4j.kernel.EachKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** SPD's reports agree with what happened to the arrays. */
class SpdReportTest {
  @AutoClose private final Arena arena = Arena.ofShared();

  private static double norm(float[] theta, float[] anchor) {
    double sum = 0;
    for (int i = 0; i < theta.length; i++) {
      double dev = (double) theta[i] - anchor[i];
      sum += dev * dev;
    }
    return Math.sqrt(sum);
  }

  private static float[] anchor(Parameter p) {
    return p.anchor() == null ? new float[(int) p.numel()] : floats(p.anchor());
  }

  private static double deviation(Parameter p) {
    return norm(floats(p.data()), anchor(p));
  }

  /** Returns −Σ g·(θ−θ0), and the sum of the magnitudes, to which errors are relative. */
  private static double[] condition(Parameter p, double scale) {
    float[] theta = floats(p.data());
    float[] anchor = anchor(p);
    float[] g = floats(p.gradient());
    double[] sums = new double[2];
    for (int i = 0; i < g.length; i++) {
      double product = scale * g[i] * ((double) theta[i] - anchor[i]);
      sums[0] -= product;
      sums[1] += Math.abs(product);
    }
    return sums;
  }

  /** Returns ‖θ̃−θ0‖ after a step without the projection, which a copy takes. */
  private double unprojected(Kernels kernels, Parameter p, double scale) {
    Parameter copy = Tensors.twin(arena, p);
    try (Adam adam = adam(kernels, new NoDecay(), List.of(copy))) {
      adam.step(scale);
      return deviation(copy);
    }
  }

  private static SpdReport step(Kernels kernels, double lambda, Parameter p) {
    try (Adam adam = adam(kernels, new SelectiveProjectionDecay(lambda), List.of(p))) {
      adam.step();
      return adam.spdReport(p).orElseThrow();
    }
  }

  @EachKernels
  void agreesWithTheArrays(Kernels kernels) {
    List<Parameter> tensors =
        List.of(
            selected(arena, "selected", 1, 12_305),
            parameter(arena, "other", 2, 9000),
            selected(arena, "small", 3, 5),
            Parameter.of("origin", Tensors.random(arena, 5, 4097), Tensors.random(arena, 6, 4097)));
    long[] selections = new long[4];
    double[] ratios = new double[4];
    try (Adam adam = adam(kernels, new SelectiveProjectionDecay(0.7), tensors)) {
      for (int s = 1; s <= 8; s++) {
        double scale = s % 2 == 0 ? 0.5 : 1;
        double[][] before = new double[4][];
        for (int t = 0; t < 4; t++) {
          Parameter p = tensors.get(t);
          double[] c = condition(p, scale);
          before[t] = new double[] {c[0], c[1], deviation(p), unprojected(kernels, p, scale)};
        }
        adam.step(scale);
        for (int t = 0; t < 4; t++) {
          SpdReport r = adam.spdReport(tensors.get(t)).orElseThrow();
          double gamma0 = before[t][2];
          double gamma1 = before[t][3];
          assertThat(r.condition()).isCloseTo(before[t][0], within(1e-5 * before[t][1]));
          assertThat(r.selected()).isEqualTo(r.condition() < 0);
          assertThat(r.deviationBefore()).isCloseTo(gamma0, within(1e-5 * gamma0));
          assertThat(r.ratio())
              .isCloseTo(Math.clamp((gamma1 - gamma0) / gamma1, 0.0, 1.0), within(1e-5));
          double after = deviation(tensors.get(t));
          assertThat(r.deviationAfter()).isCloseTo(after, within(1e-5 * after));
          selections[t] += r.selected() ? 1 : 0;
          ratios[t] += r.selected() ? r.ratio() : 0;
          assertThat(r.selections()).isEqualTo(selections[t]);
          assertThat(r.meanRatio())
              .isCloseTo(selections[t] == 0 ? 0 : ratios[t] / selections[t], within(1e-12));
          assertThat(r.checked()).isEqualTo(s);
          assertThat(r.step()).isEqualTo(s);
          assertThat(r.name()).isEqualTo(tensors.get(t).name());
        }
      }
      assertThat(selections[0]).isPositive();
      assertThat(adam.spdReports())
          .containsExactlyElementsOf(
              tensors.stream().map(p -> adam.spdReport(p).orElseThrow()).toList());
    }
  }

  @Test
  void isEmptyBeforeTheFirstStepWithSpd() {
    Parameter p = parameter(arena, "p", 1, 10);
    Parameter other = parameter(arena, "other", 2, 10);
    try (Adam adam =
        Adam.builder()
            .group(0.1, new WeightDecay(1), List.of(other))
            .group(0.1, new L2SP(1), List.of(p))
            .build()) {
      adam.step();
      adam.step();
      assertThat(adam.spdReports()).isEmpty();
      adam.groups().getLast().decay(new SelectiveProjectionDecay(1));
      assertThat(adam.spdReport(p)).isEmpty();
      adam.step();
      SpdReport report = adam.spdReport(p).orElseThrow();
      assertThat(report.step()).isEqualTo(3);
      assertThat(report.checked()).isEqualTo(1);
      adam.groups().getLast().decay(new NoDecay());
      adam.step();
      assertThat(adam.spdReports()).containsExactly(report);
    }
  }

  @EachKernels
  void atLambdaOneTheDeviationIsKept(Kernels kernels) {
    Parameter p = selected(arena, "p", 1, 9000);
    double before = deviation(p);
    assertThat(unprojected(kernels, p, 1)).isGreaterThan(5 * before);
    SpdReport r = step(kernels, 1, p);
    assertThat(r.selected()).isTrue();
    assertThat(deviation(p)).isCloseTo(before, within(1e-4 * before));
    assertThat(r.deviationAfter()).isCloseTo(before, within(1e-4 * before));
  }

  @EachKernels
  void beyondLambdaOneTheTensorMayCrossItsAnchor(Kernels kernels) {
    Parameter p = selected(arena, "p", 1, 9000);
    SpdReport r = step(kernels, 2, p);
    assertThat(2 * r.ratio()).isGreaterThan(1);
    double after = deviation(p);
    assertThat(r.deviationAfter()).isCloseTo(after, within(1e-5 * after));
  }

  @EachKernels
  void atItsAnchorATensorIsNotSelected(Kernels kernels) {
    Parameter made = parameter(arena, "p", 1, 9000);
    made.data().copyFrom(made.anchor());
    double after = unprojected(kernels, made, 1);
    SpdReport r = step(kernels, 1, made);
    assertThat(r.condition()).isEqualTo(-0.0);
    assertThat(r.selected()).isFalse();
    assertThat(r.selections()).isZero();
    assertThat(r.meanRatio()).isZero();
    assertThat(r.deviationBefore()).isZero();
    assertThat(r.ratio()).isEqualTo(1);
    assertThat(deviation(made)).isEqualTo(after).isPositive();
  }

  @EachKernels
  void aTensorWithAZeroGradientIsNotSelected(Kernels kernels) {
    Parameter p = parameter(arena, "p", 1, 9000);
    p.gradient().fill((byte) 0);
    double before = deviation(p);
    SpdReport r = step(kernels, 1, p);
    assertThat(r.condition()).isZero();
    assertThat(r.selected()).isFalse();
    assertThat(r.ratio()).isZero();
    assertThat(deviation(p)).isEqualTo(before);
  }

  /** If betas and eps are 0 and the gradient is 1, the update is exactly lr. */
  @EachKernels
  void aDeviationThatVanishesHasARatioOfZero(Kernels kernels) {
    MemorySegment data = of(arena, 0.5f, 0.5f, 0.5f);
    Parameter p = Parameter.of("p", data, of(arena, 1, 1, 1));
    try (Adam adam =
        adam(
            kernels,
            1,
            ParameterGroup.builder()
                .lr(0.5)
                .betas(0, 0)
                .eps(0)
                .decay(new SelectiveProjectionDecay(1))
                .parameter(p)
                .build())) {
      adam.step();
      SpdReport r = adam.spdReport(p).orElseThrow();
      assertThat(floats(data)).containsOnly(0f);
      assertThat(r.condition()).isEqualTo(-1.5);
      assertThat(r.selected()).isTrue();
      assertThat(r.ratio()).isZero();
      assertThat(r.deviationBefore()).isCloseTo(Math.sqrt(0.75), within(1e-7));
      assertThat(r.deviationAfter()).isZero();
      assertThat(r.meanRatio()).isZero();
    }
  }

  @EachKernels
  void aTensorAtRestOnItsAnchorReportsNoDeviation(Kernels kernels) {
    Parameter p = Parameter.of("p", of(arena, 2, 3), of(arena, 0, 0), of(arena, 2, 3));
    SpdReport r = step(kernels, 1, p);
    assertThat(r.ratio()).isZero();
    assertThat(r.deviationAfter()).isZero();
    assertThat(floats(p.data())).containsExactly(2, 3);
  }
}
