package io.spd4j.djl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.ndarray.types.SparseFormat;
import ai.djl.training.tracker.Tracker;
import io.spd4j.MomentType;
import io.spd4j.SelectiveProjectionDecay;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** Weights whose own memory cannot be stepped are copied, with the same bits. */
class CopiedWeightsTest {
  private static final float LR = 1e-2f;
  private static final SelectiveProjectionDecay RULE = new SelectiveProjectionDecay(1);
  private static final int STEPS = 5;

  private final SplittableRandom random = new SplittableRandom(2);

  private static SpdOptimizer optimizer() {
    return SpdOptimizer.builder()
        .rule(RULE)
        .betas(0.8, 0.99)
        .eps(1e-7)
        .optLearningRateTracker(Tracker.fixed(LR))
        .build();
  }

  /** Steps a weight and compares it with spd4j's steps. */
  private void steps(NDManager manager, NDArray weight, UnaryOperator<NDArray> gradients) {
    try (PlainRun plain = new PlainRun(0);
        SpdOptimizer optimizer = optimizer();
        Warnings warnings = new Warnings()) {
      plain.add("w", weight, RULE, MomentType.FLOAT32);
      for (int step = 1; step <= STEPS; step++) {
        NDArray gradient =
            Arrays.random(manager, random, weight.getDataType(), weight.getShape().getShape());
        plain.adam().stepParameter(plain.prepare("w", gradient, LR));
        optimizer.update("w", weight, gradients.apply(gradient));
        assertThat(Arrays.bytes(weight)).isEqualTo(plain.bytes("w"));
      }
      assertThat(warnings.messages()).singleElement().asString().contains("w", "copied");
      assertThat(optimizer.spdReports()).isEqualTo(plain.adam().spdReports());
    }
  }

  @Test
  void aTransposedWeightIsSteppedWhereItLies() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray base = Arrays.random(manager, random, 5, 4);
      NDArray weight = base.transpose();
      weight.setRequiresGradient(true);
      int arrays = manager.getManagedArrays().size();
      steps(manager, weight, gradient -> gradient);
      // nothing is left but the gradients that this test made
      assertThat(manager.getManagedArrays().size()).isEqualTo(arrays + STEPS);
      assertThat(base.transpose().toFloatArray()).isEqualTo(weight.toFloatArray());
    }
  }

  @Test
  void aFloat16WeightOfAnEngineThatGivesCopies() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray weight = Arrays.random(manager, random, DataType.FLOAT16, 5, 999);
      steps(manager, givingCopies(weight), CopiedWeightsTest::givingCopies);
    }
  }

  /** Like most engines, whose arrays' own memory Java cannot reach. */
  private static NDArray givingCopies(NDArray array) {
    return Arrays.with(array, Map.of("toByteBuffer", array::toByteBuffer));
  }

  @Test
  void anEngineWhoseDirectBuffersAreCopies() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray weight = Arrays.random(manager, random, 5, 999);
      steps(
          manager,
          Arrays.with(
              weight,
              Map.of(
                  "toByteBuffer",
                  () -> {
                    byte[] bytes = Arrays.bytes(weight);
                    return ByteBuffer.allocateDirect(bytes.length)
                        .order(java.nio.ByteOrder.nativeOrder())
                        .put(bytes)
                        .flip();
                  })),
          gradient -> gradient);
    }
  }

  @Test
  void anEngineThatKeepsTheOldValues() {
    try (NDManager manager = NDManager.newBaseManager();
        SpdOptimizer optimizer = optimizer()) {
      NDArray values = Arrays.random(manager, random, 3);
      NDArray weight =
          Arrays.with(
              values,
              Map.of("toByteBuffer", values::toByteBuffer, "stopGradient", values::duplicate));
      assertThatThrownBy(() -> optimizer.update("w", weight, manager.ones(new Shape(3))))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("does not let new values reach the weight of w");
    }
  }

  @Test
  void aSparseGradientCountsAsItsDenseForm() {
    try (NDManager manager = NDManager.newBaseManager();
        PlainRun plain = new PlainRun(0);
        SpdOptimizer optimizer = optimizer()) {
      NDArray weight = Arrays.random(manager, random, 3, 5);
      plain.add("w", weight, RULE, MomentType.FLOAT32);
      NDArray dense = manager.create(new float[] {0, 0, 1, -1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 3});
      NDArray gradient = dense.reshape(3, 5).toSparse(SparseFormat.COO);
      plain.adam().stepParameter(plain.prepare("w", dense, LR));
      optimizer.update("w", weight, gradient);
      assertThat(Arrays.bytes(weight)).isEqualTo(plain.bytes("w"));
    }
  }

  @Test
  void eachDeviceHasItsOwnState() {
    try (NDManager manager = NDManager.newBaseManager();
        PlainRun plain = new PlainRun(0);
        SpdOptimizer optimizer = optimizer()) {
      NDArray first = Arrays.random(manager, random, 7);
      NDArray copy = first.duplicate();
      NDArray second = Arrays.with(copy, Map.of("getDevice", () -> Device.gpu(1)));
      plain.add("w", first, RULE, MomentType.FLOAT32);
      for (int step = 1; step <= STEPS; step++) {
        NDArray gradient = Arrays.random(manager, random, 7);
        plain.adam().stepParameter(plain.prepare("w", gradient, LR));
        optimizer.update("w", first, gradient);
        optimizer.update("w", second, gradient);
        assertThat(Arrays.bytes(first)).isEqualTo(plain.bytes("w"));
        assertThat(Arrays.bytes(copy)).isEqualTo(plain.bytes("w"));
      }
      assertThat(optimizer.spdReports())
          .extracting(report -> report.name())
          .containsExactly("w", "w@gpu(1)");
    }
  }
}
