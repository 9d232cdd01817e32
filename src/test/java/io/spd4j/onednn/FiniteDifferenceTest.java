package io.spd4j.onednn;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Each backward pass computes the derivative of its forward pass. The derivative is approximated by
 * differences of the forward pass's definition in float64, without any formula for gradients.
 */
class FiniteDifferenceTest {
  /** The central difference's step: the error is about its square, 1e-8, and rounding 1e-12. */
  private static final double STEP = 1e-4;

  /** float32's error in these few terms, as a share of a gradient's largest element. */
  private static final double TOLERANCE = 2e-6;

  private static final Layout SRC = Layout.rowMajor(3, 5);
  private static final Layout WEIGHT = Layout.rowMajor(4, 5).transpose();
  private static final Layout DST = Layout.rowMajor(3, 4);

  private final SplittableRandom random = new SplittableRandom(1);
  @AutoClose private final Arena arena = Arena.ofConfined();
  @AutoClose private final OneDnn oneDnn = OneDnn.open(2);

  @BeforeAll
  static void available() {
    Cases.assumeOneDnn();
  }

  private MemorySegment random(long n) {
    MemorySegment segment = empty(n);
    for (long i = 0; i < n; i++) {
      segment.setAtIndex(JAVA_FLOAT, i, (float) random.nextGaussian());
    }
    return segment;
  }

  private MemorySegment empty(long n) {
    return arena.allocate(JAVA_FLOAT, n);
  }

  private static double[] doubles(MemorySegment segment) {
    float[] floats = segment.toArray(JAVA_FLOAT);
    return IntStream.range(0, floats.length).mapToDouble(i -> floats[i]).toArray();
  }

  /**
   * @param forward the definition, as a function of the inputs' values
   * @param dstGrad the gradient that the backward pass got
   * @param srcGrads the gradients that it computed, one for each input
   */
  private static void check(
      Function<double[][], double[]> forward,
      List<MemorySegment> inputs,
      MemorySegment dstGrad,
      List<MemorySegment> srcGrads) {
    double[] weights = doubles(dstGrad);
    double[][] values = inputs.stream().map(FiniteDifferenceTest::doubles).toArray(double[][]::new);
    for (int input = 0; input < values.length; input++) {
      double[] expected = new double[values[input].length];
      for (int i = 0; i < expected.length; i++) {
        double value = values[input][i];
        values[input][i] = value + STEP;
        double above = dot(forward.apply(values), weights);
        values[input][i] = value - STEP;
        double below = dot(forward.apply(values), weights);
        values[input][i] = value;
        expected[i] = (above - below) / (2 * STEP);
      }
      double largest = Arrays.stream(expected).map(Math::abs).max().orElseThrow();
      assertThat(largest).isGreaterThan(1e-3);
      assertThat(doubles(srcGrads.get(input)))
          .as("gradient of input %d", input)
          .containsExactly(expected, within(TOLERANCE * largest));
    }
  }

  private static double dot(double[] a, double[] b) {
    assertThat(a).hasSameSizeAs(b);
    return IntStream.range(0, a.length).mapToDouble(i -> a[i] * b[i]).sum();
  }

  @Test
  void ofALinearLayer() {
    Linear linear = oneDnn.linear(3, 5, 4);
    MemorySegment s = random(15);
    MemorySegment w = random(20);
    MemorySegment dstGrad = random(12);
    MemorySegment srcGrad = empty(15);
    MemorySegment weightGrad = empty(20);
    MemorySegment biasGrad = empty(4);
    linear.backwardSource(dstGrad, w, srcGrad);
    linear.backwardWeights(s, dstGrad, weightGrad, biasGrad);
    check(
        x ->
            Reference.plus(
                Reference.matMul(SRC, x[0], WEIGHT, x[1], DST, 1),
                Reference.broadcast(Layout.rowMajor(1, 4), x[2], DST)),
        List.of(s, w, random(4)),
        dstGrad,
        List.of(srcGrad, weightGrad, biasGrad));
  }

  @Test
  void ofTwoLinearLayersWithTheSameInput() {
    Linear linear = oneDnn.linear(3, 5, 4);
    MemorySegment w = random(20);
    MemorySegment other = random(20);
    MemorySegment dstGrad = random(12);
    MemorySegment srcGrad = empty(15);
    linear.backwardSource(dstGrad, w, srcGrad);
    linear.backwardSourceAdd(dstGrad, other, srcGrad);
    check(
        x ->
            Reference.plus(
                Reference.matMul(SRC, x[0], WEIGHT, doubles(w), DST, 1),
                Reference.matMul(SRC, x[0], WEIGHT, doubles(other), DST, 1)),
        List.of(random(15)),
        dstGrad,
        List.of(srcGrad));
  }

  @Test
  void ofAttentionScores() {
    Layout side = Layout.rowMajor(2, 3, 2, 4);
    product(
        side.permute(0, 2, 1, 3),
        side.permute(0, 2, 3, 1),
        Layout.rowMajor(2, 2, 3, 3),
        0.5f,
        Layout.rowMajor(2, 1, 1, 3));
  }

  @Test
  void ofWhatAttentionWeighs() {
    Layout side = Layout.rowMajor(2, 3, 2, 4).permute(0, 2, 1, 3);
    product(Layout.rowMajor(2, 2, 3, 3), side, side, 1, null);
  }

  private void product(Layout a, Layout b, Layout c, float scale, Layout addend) {
    MatMul product = oneDnn.matMul(a, b, c, scale, addend);
    MemorySegment left = random(a.numel());
    MemorySegment right = random(b.numel());
    MemorySegment cGrad = random(c.numel());
    MemorySegment aGrad = empty(a.numel());
    MemorySegment bGrad = empty(b.numel());
    product.backwardA(cGrad, right, aGrad);
    product.backwardB(left, cGrad, bGrad);
    check(
        x -> Reference.matMul(a, x[0], b, x[1], c, scale),
        List.of(left, right),
        cGrad,
        List.of(aGrad, bGrad));
  }

  @Test
  void ofLayerNormalization() {
    LayerNorm norm = oneDnn.layerNorm(3, 7, 1e-3f);
    MemorySegment src = random(21);
    MemorySegment scale = random(7);
    MemorySegment shift = random(7);
    MemorySegment dst = empty(21);
    MemorySegment mean = empty(3);
    MemorySegment variance = empty(3);
    norm.forward(src, scale, shift, dst, mean, variance);
    MemorySegment dstGrad = random(21);
    MemorySegment srcGrad = empty(21);
    MemorySegment scaleGrad = empty(7);
    MemorySegment shiftGrad = empty(7);
    norm.backward(src, dstGrad, scale, mean, variance, srcGrad, scaleGrad, shiftGrad);
    check(
        x -> Reference.layerNorm(x[0], x[1], x[2], 1e-3f),
        List.of(src, scale, shift),
        dstGrad,
        List.of(srcGrad, scaleGrad, shiftGrad));
  }

  @Test
  void ofSoftmax() {
    Softmax softmax = oneDnn.softmax(3, 7);
    MemorySegment src = random(21);
    MemorySegment dst = empty(21);
    softmax.forward(src, dst);
    MemorySegment dstGrad = random(21);
    MemorySegment srcGrad = empty(21);
    softmax.backward(dst, dstGrad, srcGrad);
    check(x -> Reference.softmax(7, x[0]), List.of(src), dstGrad, List.of(srcGrad));
  }

  @Test
  void ofGelu() {
    MemorySegment src = random(33);
    MemorySegment dstGrad = random(33);
    MemorySegment srcGrad = empty(33);
    oneDnn.gelu(33).backward(src, dstGrad, srcGrad);
    check(
        x -> Arrays.stream(x[0]).map(Reference::gelu).toArray(),
        List.of(src),
        dstGrad,
        List.of(srcGrad));
  }

  @ParameterizedTest
  @CsvSource({"SUM,0", "SUM,1", "MEAN,0", "MEAN,1"})
  void ofAReduction(Reduction.Kind kind, int axis) {
    int n = axis == 0 ? 3 : 5;
    double weight = kind == Reduction.Kind.SUM ? 1 : 1.0 / n;
    MemorySegment dstGrad = random(15 / n);
    MemorySegment srcGrad = empty(15);
    oneDnn.reduction(kind, 3, 5, axis).backward(dstGrad, srcGrad);
    check(
        x -> Arrays.stream(Reference.sum(3, 5, x[0], axis)).map(sum -> weight * sum).toArray(),
        List.of(random(15)),
        dstGrad,
        List.of(srcGrad));
  }

  /** Checks the reference's erf at 1 and 3 against tables. */
  @Test
  void theReferencesErfIsRight() {
    assertThat(Reference.erf(1)).isEqualTo(0.8427007929497149, within(1e-15));
    assertThat(Reference.erf(-3)).isEqualTo(-0.9999779095030014, within(1e-15));
  }
}
