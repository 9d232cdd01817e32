package io.spd4j.djl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Percentage.withPercentage;

import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import ai.djl.nn.Parameter;
import ai.djl.training.tracker.Tracker;
import ai.djl.util.Pair;
import io.spd4j.ElementType;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.WeightDecay;
import io.spd4j.safetensors.SafetensorsFile;
import io.spd4j.safetensors.SafetensorsWriter;
import io.spd4j.safetensors.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The pre-trained values that SPD measures deviations from. */
class AnchorsTest {
  private static final String NAME = "01Linear_weight";

  @AutoClose private final Arena arena = Arena.ofShared();
  @TempDir private Path folder;

  private static SpdOptimizer.Builder builder(Model model) {
    return SpdOptimizer.builder()
        .block(model.getBlock())
        .rule(
            name -> name.startsWith("04") ? new WeightDecay(0.1) : new SelectiveProjectionDecay(1))
        .optLearningRateTracker(Tracker.fixed(0.01f));
  }

  /** Writes the block's present values, without those of its last layer. */
  private SafetensorsFile save(Model model, String prefix, ElementType type) throws IOException {
    List<Tensor> tensors = new ArrayList<>();
    for (Pair<String, Parameter> p : model.getBlock().getParameters()) {
      if (!p.getKey().startsWith("04")) {
        NDArray values = p.getValue().getArray();
        NDArray typed =
            type == ElementType.FLOAT16 ? values.toType(DataType.FLOAT16, true) : values;
        List<Long> shape = LongStream.of(values.getShape().getShape()).boxed().toList();
        tensors.add(new Tensor(prefix + p.getKey(), type, shape, Arrays.copy(typed, arena)));
      }
    }
    Path file = folder.resolve("pretrained.safetensors");
    SafetensorsWriter.write(file, tensors, Map.of());
    return SafetensorsFile.map(file, arena);
  }

  private static void step(Model model, SpdOptimizer optimizer, int steps) {
    SplittableRandom random = new SplittableRandom(1);
    for (int i = 0; i < steps; i++) {
      Networks.backward(model, Networks.examples(model.getNDManager(), random, 16));
      optimizer.stepClipped(1);
    }
  }

  private static double distance(NDArray a, float[] b) {
    float[] values = a.toFloatArray();
    double sum = 0;
    for (int i = 0; i < b.length; i++) {
      sum += Math.pow((double) values[i] - b[i], 2);
    }
    return Math.sqrt(sum);
  }

  @Test
  void byDefaultTheValuesAtTheFirstUpdate() {
    try (Model model = Networks.model(1);
        SpdOptimizer optimizer = builder(model).build()) {
      NDArray weight = model.getBlock().getParameters().get(NAME).getArray();
      float[] start = weight.toFloatArray();
      step(model, optimizer, 5);
      double distance = distance(weight, start);
      assertThat(distance).isPositive();
      assertThat(optimizer.spdReport(NAME).orElseThrow().deviationAfter())
          .isCloseTo(distance, withPercentage(0.01));
    }
  }

  @Test
  void fromAFileByTheBlocksNames() throws IOException {
    assertFromFile("", ElementType.FLOAT32);
  }

  @Test
  void fromAFileByOtherNamesAndInAnotherType() throws IOException {
    assertFromFile("encoder.", ElementType.FLOAT16);
  }

  private void assertFromFile(String prefix, ElementType type) throws IOException {
    try (Model model = Networks.model(1)) {
      NDArray weight = model.getBlock().getParameters().get(NAME).getArray();
      float[] pretrained = weight.toFloatArray();
      SafetensorsFile file = save(model, prefix, type);
      try (SpdOptimizer first = builder(model).build()) {
        step(model, first, 5); // moves the weights away from the file's
      }
      double moved = distance(weight, pretrained);
      try (SpdOptimizer second = builder(model).anchors(file, name -> prefix + name).build()) {
        step(model, second, 1);
        assertThat(second.spdReport(NAME).orElseThrow().deviationBefore())
            .isCloseTo(moved, withPercentage(type == ElementType.FLOAT16 ? 1 : 0.01));
        assertThat(second.spdReports()).hasSize(4);
      }
    }
  }

  @Test
  void aTensorThatIsMissingOrOfAnotherShapeIsNamed() throws IOException {
    try (Model model = Networks.model(1)) {
      SafetensorsFile file = save(model, "", ElementType.FLOAT32);
      NDArray weight = model.getBlock().getParameters().get(NAME).getArray();
      byte[] before = Arrays.bytes(weight);
      String id = model.getBlock().getParameters().get(NAME).getId();
      try (SpdOptimizer missing = builder(model).anchors(file, name -> "bert." + name).build();
          SpdOptimizer other = builder(model).anchors(file, name -> "01Linear_bias").build()) {
        assertThatThrownBy(() -> missing.update(id, weight, weight.duplicate()))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("anchor of " + NAME + " is missing")
            .cause()
            .hasMessageContaining("bert." + NAME);
        assertThatThrownBy(() -> other.update(id, weight, weight.duplicate()))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("anchor of " + NAME + " has shape [33] in the file, not (33, 8)");
      }
      assertThat(Arrays.bytes(weight)).isEqualTo(before);
    }
  }
}
