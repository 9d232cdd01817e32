package io.spd4j.finetune.minilm;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.within;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import io.spd4j.onednn.OneDnn;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Exports into small graphs like PyTorch's, and into all-MiniLM-L6-v2's. */
class OnnxExportTest {
  private static final Config CONFIG = OnnxWeightsTest.CONFIG;
  private static final Map<String, String> METADATA = Map.of("run", "SPD", "base", "tiny");

  private final Arena arena = Arena.ofConfined();

  @AfterEach
  void close() {
    arena.close();
  }

  /** Returns a model with an initializer that is no weight, and an output. */
  private static ModelProto model(int operators) {
    GraphProto.Builder graph = OnnxWeightsTest.graph();
    graph.addInitializer(0, OnnxWeightsTest.tensor("position_ids", List.of(1L, 2L)));
    ValueInfoProto.Builder states = ValueInfoProto.newBuilder().setName("last_hidden_state");
    states
        .getTypeBuilder()
        .getTensorTypeBuilder()
        .getShapeBuilder()
        .addDimBuilder()
        .setDimParam("n");
    graph.addOutput(states);
    return ModelProto.newBuilder()
        .setGraph(graph)
        .setProducerName("pytorch")
        .addOpsetImport(OperatorSetIdProto.newBuilder().setVersion(operators))
        .build();
  }

  private static ModelProto withoutWeights(ModelProto model, Config config) throws IOException {
    ModelProto.Builder rest = model.toBuilder().clearMetadataProps();
    for (OnnxInitializer weight : OnnxInitializer.of(model.getGraph(), config).values()) {
      rest.getGraphBuilder().getInitializerBuilder(weight.index()).clearRawData();
    }
    return rest.build();
  }

  private void assertReplacesWeightsAlone(ModelProto model, Config config) throws IOException {
    Weights old = OnnxWeights.read(model, config, arena);
    Weights weights = old.copy(arena, false);
    SplittableRandom random = new SplittableRandom(1);
    for (Weight weight : weights.all()) {
      for (long i = 0; i < weight.numel(); i++) {
        float value = weight.data().getAtIndex(JAVA_FLOAT, i);
        float moved = value + 1e-3f + (float) random.nextDouble(0.01);
        weight.data().setAtIndex(JAVA_FLOAT, i, moved);
      }
    }

    ModelProto export = OnnxExport.export(model, config, weights, METADATA, false);

    Weights read = OnnxWeights.read(export, config, arena);
    for (Weight weight : weights.all()) {
      assertThat(read.get(weight.name()).data().mismatch(weight.data()))
          .as(weight.name())
          .isEqualTo(-1);
    }
    assertThat(withoutWeights(export, config).toByteString())
        .isEqualTo(withoutWeights(model, config).toByteString());
    // Without the mapping from weights to initializers: every float but that of position_ids moved.
    for (int i = 0; i < model.getGraph().getInitializerCount(); i++) {
      TensorProto before = model.getGraph().getInitializer(i);
      TensorProto after = export.getGraph().getInitializer(i);
      if (before.getName().endsWith("position_ids")) {
        assertThat(after).isEqualTo(before);
      } else {
        assertThat(equalFloats(before, after)).as(before.getName()).isZero();
      }
    }
  }

  private static long equalFloats(TensorProto a, TensorProto b) {
    return LongStream.range(0, a.getRawData().size() / Float.BYTES)
        .mapToInt(i -> Math.toIntExact(i * Float.BYTES))
        .filter(at ->
            a.getRawData()
                .substring(at, at + Float.BYTES)
                .equals(b.getRawData().substring(at, at + Float.BYTES)))
        .count();
  }

  @Test
  void replacesEveryWeightAndNothingElse() throws IOException {
    assertReplacesWeightsAlone(model(11), CONFIG);
  }

  @Test
  void replacesEveryWeightOfTheRealModelAndNothingElse() throws IOException {
    assertReplacesWeightsAlone(OnnxWeights.minilmModel(), Config.MINILM_L6);
  }

  @Test
  void saysWhereItComesFrom() throws IOException {
    Weights weights = Tiny.encoder(arena, CONFIG, 2);
    ModelProto export = OnnxExport.export(model(11), CONFIG, weights, METADATA, false);
    assertThat(export.getMetadataPropsList())
        .extracting(entry -> entry.getKey() + "=" + entry.getValue())
        .containsExactly("base=tiny", "run=SPD");
  }

  @Test
  void addsAdaptersToTheWeights() throws IOException {
    Weights base = Tiny.encoder(arena, CONFIG, 2);
    Weights adapted = base.with(Tiny.adapters(arena, CONFIG, 3));

    ModelProto export = OnnxExport.export(model(11), CONFIG, adapted, METADATA, false);

    Weights read = OnnxWeights.read(export, CONFIG, arena);
    Set<String> moved = new HashSet<>();
    for (Weight weight : base.all()) {
      if (read.get(weight.name()).data().mismatch(weight.data()) != -1) {
        moved.add(weight.name());
      }
    }
    assertThat(moved)
        .containsExactlyInAnyOrderElementsOf(
            EncoderLayer.ATTENTION_PROJECTIONS.stream()
                .map(name -> Weights.layer(0) + name + ".weight")
                .toList());
    for (String name : moved) {
      String layer = name.substring(0, name.length() - ".weight".length());
      List<Float> w = Tiny.floats(base.get(name).data());
      List<Float> a = Tiny.floats(adapted.get(layer + ".lora_A.weight").data()); // [2, 4]
      List<Float> b = Tiny.floats(adapted.get(layer + ".lora_B.weight").data()); // [4, 2]
      for (int row = 0; row < 4; row++) {
        for (int column = 0; column < 4; column++) {
          double expected =
              w.get(4 * row + column)
                  + (double) b.get(2 * row) * a.get(column)
                  + (double) b.get(2 * row + 1) * a.get(4 + column);
          assertThat(read.get(name).data().getAtIndex(JAVA_FLOAT, 4 * row + column))
              .isCloseTo((float) expected, within(1e-6f));
        }
      }
    }
  }

  /** Also compares with the adapters' own forward pass. */
  @Test
  void mergedWeightsComputeTheSame() {
    Weights adapted =
        Tiny.classifier(arena, Tiny.CONFIG, 2, false).with(Tiny.adapters(arena, Tiny.CONFIG, 3));
    Weights merged = Lora.merge(arena, adapted);
    Batch batch = Batch.of(List.of(new int[] {1, 7, 3, 7, 2}, new int[] {4}), 8);

    assertThat(merged.all()).noneMatch(weight -> Lora.isNameOf(weight.name()));
    try (OneDnn dnn = OneDnn.open(2)) {
      List<Float> expected =
          Tiny.floats(new Classifier(dnn, Tiny.CONFIG, adapted, 2, 8, arena).forward(batch));
      List<Float> logits =
          Tiny.floats(new Classifier(dnn, Tiny.CONFIG, merged, 2, 8, arena).forward(batch));
      for (int i = 0; i < 4; i++) {
        assertThat(logits.get(i)).isCloseTo(expected.get(i), within(1e-5f));
      }
    }
  }

  @Test
  void theHeadFollowsTheEncoder() throws IOException {
    ModelProto model = model(12);
    Weights weights = Tiny.classifier(arena, CONFIG, 2, false);
    GraphProto alone = OnnxExport.export(model, CONFIG, weights, METADATA, false).getGraph();
    GraphProto graph = OnnxExport.export(model, CONFIG, weights, METADATA, true).getGraph();

    assertThat(graph.getNodeList()).startsWith(alone.getNodeList().toArray(new NodeProto[0]));
    assertThat(graph.getNodeCount()).isGreaterThan(alone.getNodeCount());
    assertThat(graph.getInputList()).isEqualTo(alone.getInputList());
    assertThat(graph.getOutputList())
        .extracting(ValueInfoProto::getName)
        .containsExactly("last_hidden_state", "logits", "probabilities");
    assertThat(graph.getInitializerList().subList(0, alone.getInitializerCount()))
        .isEqualTo(alone.getInitializerList());
  }

  @ParameterizedTest
  @ValueSource(ints = {13, 17})
  void refusesAHeadAmongNewerOperators(int operators) {
    Weights weights = Tiny.classifier(arena, CONFIG, 2, false);
    assertThatIOException()
        .isThrownBy(() -> OnnxExport.export(model(operators), CONFIG, weights, METADATA, true))
        .withMessage(
            "the ONNX file's operators have version %d, but the head needs one before 13",
            operators);
  }
}
