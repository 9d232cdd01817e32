package io.spd4j.djl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.ndarray.types.SparseFormat;
import ai.djl.nn.core.Linear;
import io.spd4j.SelectiveProjectionDecay;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** What cannot be stepped is refused by name, and nothing changes. */
class RefusalsTest {
  private final SplittableRandom random = new SplittableRandom(3);
  @AutoClose private final NDManager manager = NDManager.newBaseManager();

  @AutoClose
  private final SpdOptimizer optimizer =
      SpdOptimizer.builder().rule(new SelectiveProjectionDecay(1)).build();

  private void refused(String message, String id, NDArray weight, NDArray gradient) {
    byte[] before = Arrays.bytes(weight);
    assertThatThrownBy(() -> optimizer.update(id, weight, gradient))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
    assertThat(Arrays.bytes(weight)).isEqualTo(before);
  }

  @Test
  void otherTypes() {
    NDArray floats = Arrays.random(manager, random, 4);
    for (DataType type : new DataType[] {DataType.FLOAT64, DataType.INT32}) {
      NDArray other = floats.toType(type, true);
      refused("weight of w is " + type.name() + ", not FLOAT32 or FLOAT16", "w", other, floats);
      refused("gradient of w is " + type.name() + ", not FLOAT32 or FLOAT16", "w", floats, other);
    }
    optimizer.update("w", floats, floats.duplicate());
    NDArray halves = floats.toType(DataType.FLOAT16, true);
    refused("weight of w is FLOAT16, not FLOAT32", "w", halves, floats);
    refused("gradient of w is FLOAT16, not FLOAT32", "w", floats, halves);
    refused(
        "weight of w is FLOAT64, not FLOAT32 or FLOAT16",
        "w",
        floats.toType(DataType.FLOAT64, true),
        floats);
  }

  /** A refused array can be stepped under another name. */
  @Test
  void aRefusalRemembersNothing() {
    NDArray weight = Arrays.random(manager, random, 4);
    NDArray doubles = weight.toType(DataType.FLOAT64, true);
    refused("gradient of w is FLOAT64, not FLOAT32 or FLOAT16", "w", weight, doubles);
    NDArray halves = weight.toType(DataType.FLOAT16, true);
    refused("gradient of w is FLOAT16, not FLOAT32", "w", weight, halves);
    byte[] before = Arrays.bytes(weight);
    optimizer.update("other", weight, weight.duplicate());
    assertThat(Arrays.bytes(weight)).isNotEqualTo(before);
  }

  @Test
  void otherShapes() {
    NDArray weight = Arrays.random(manager, random, 3, 4);
    refused(
        "gradient of w has shape (4, 3), not (3, 4)",
        "w",
        weight,
        Arrays.random(manager, random, 4, 3));
    optimizer.update("w", weight, weight.duplicate());
    NDArray larger = Arrays.random(manager, random, 3, 5);
    refused("weight of w has shape (3, 5), not (3, 4)", "w", larger, larger.duplicate());
  }

  @Test
  void hugeWeights() {
    NDArray huge =
        Arrays.with(manager.ones(new Shape(1)), Map.of("size", () -> (1L << 31) / Float.BYTES));
    refused(
        "weight of w has 2147483648 bytes; DJL gives access to at most 2147483647",
        "w",
        huge,
        manager.ones(new Shape(1)));
  }

  @Test
  void sparseWeights() {
    NDArray weight = Arrays.random(manager, random, 3, 4);
    NDArray sparse = weight.toSparse(SparseFormat.COO);
    assertThatThrownBy(() -> optimizer.update("w", sparse, weight))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("weight of w is sparse");
  }

  @Test
  void aGradientThatIsTheWeight() {
    NDArray weight = Arrays.random(manager, random, 4);
    refused("gradient of w overlaps data of w", "w", weight, weight);
  }

  @Test
  void twoParametersInTheSameMemory() {
    NDArray weight = Arrays.random(manager, random, 4);
    optimizer.update("w", weight, weight.duplicate());
    refused("data of tied overlaps data of w", "tied", weight, weight.duplicate());
  }

  @Test
  void aParameterOfAnotherBlock() {
    try (SpdOptimizer named =
        SpdOptimizer.builder().block(Linear.builder().setUnits(1).build()).build()) {
      NDArray weight = Arrays.random(manager, random, 4);
      assertThatThrownBy(() -> named.update("uid-1", weight, weight.duplicate()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("uid-1 is not a parameter of the block that the optimizer was built with");
    }
  }

  @Test
  void noRuleAndNullArguments() {
    NDArray weight = Arrays.random(manager, random, 4);
    try (SpdOptimizer none = SpdOptimizer.builder().rule(name -> null).build()) {
      assertThatThrownBy(() -> none.update("w", weight, weight.duplicate()))
          .isInstanceOf(NullPointerException.class)
          .hasMessage("rule of w");
    }
    assertThatThrownBy(() -> optimizer.update(null, weight, weight)).hasMessage("parameterId");
    assertThatThrownBy(() -> optimizer.update("w", null, weight)).hasMessage("weight");
    assertThatThrownBy(() -> optimizer.update("w", weight, null)).hasMessage("grad");
  }

  @Test
  void aBadLearningRate() {
    NDArray weight = Arrays.random(manager, random, 4);
    byte[] before = Arrays.bytes(weight);
    try (SpdOptimizer negative =
        SpdOptimizer.builder().optLearningRateTracker((id, count) -> -1).build()) {
      assertThatThrownBy(() -> negative.update("w", weight, weight.duplicate()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("lr");
    }
    assertThat(Arrays.bytes(weight)).isEqualTo(before);
  }

  @Test
  void settingsOutOfRange() {
    SpdOptimizer.Builder builder = SpdOptimizer.builder();
    assertThatThrownBy(() -> builder.betas(1, 0.9)).hasMessageContaining("beta1");
    assertThatThrownBy(() -> builder.eps(-1)).hasMessageContaining("eps");
    assertThatThrownBy(() -> builder.threads(0)).hasMessageContaining("threads");
    assertThatThrownBy(() -> builder.setRescaleGrad(0)).hasMessageContaining("rescaleGrad");
    assertThatThrownBy(() -> builder.setRescaleGrad(Float.NaN)).hasMessageContaining("rescaleGrad");
    assertThatThrownBy(() -> builder.optBeginNumUpdate(-1)).hasMessageContaining("beginNumUpdate");
    assertThatThrownBy(() -> builder.optClipGrad(1))
        .isInstanceOf(UnsupportedOperationException.class)
        .hasMessageContaining("stepClipped");
    assertThatThrownBy(() -> builder.optWeightDecays(-1)).hasMessageContaining("lambda");
    assertThatThrownBy(() -> optimizer.stepClipped(0)).hasMessageContaining("maxNorm");
    assertThatThrownBy(() -> optimizer.stepClipped(Double.NaN)).hasMessageContaining("maxNorm");
    assertThatThrownBy(() -> optimizer.stepClipped(1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("stepClipped needs a block: give one to the builder");
  }
}
