package io.spd4j.finetune.minilm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Reads small files laid out like PyTorch's export. OracleTest reads the real one. */
class OnnxWeightsTest {
  static final Config CONFIG = new Config(3, 2, 4, 2, 5, 1);
  private static final String INTERMEDIATE = "encoder.layer.0.intermediate.dense.weight";
  private static final String SHIFT = "encoder.layer.0.output.LayerNorm.bias";

  /** The values of each tensor count up from 0 in the file's order. */
  static GraphProto.Builder graph() {
    GraphProto.Builder graph = GraphProto.newBuilder();
    Weights.shapes(CONFIG)
        .forEach((name, shape) -> {
          if (name.startsWith("encoder") && shape.size() == 2) {
            String path = name.substring(0, name.length() - ".weight".length());
            graph.addNode(
                NodeProto.newBuilder()
                    .setOpType("MatMul")
                    .setName("/" + path.replace('.', '/') + "/MatMul")
                    .addInput("x")
                    .addInput("onnx::" + name));
            graph.addInitializer(tensor("onnx::" + name, shape.reversed()));
          } else {
            graph.addInitializer(tensor(name, shape));
          }
        });
    return graph;
  }

  static TensorProto tensor(String name, List<Long> shape) {
    int numel = Math.toIntExact(shape.stream().reduce(1L, Math::multiplyExact));
    ByteBuffer raw = ByteBuffer.allocate(numel * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    IntStream.range(0, numel).forEach(raw::putFloat);
    return TensorProto.newBuilder()
        .setName(name)
        .setDataType(TensorProto.DataType.FLOAT.getNumber())
        .addAllDims(shape)
        .setRawData(ByteString.copyFrom(raw.flip()))
        .build();
  }

  private static Weights read(GraphProto.Builder graph) throws IOException {
    return read(ModelProto.newBuilder().setGraph(graph).build().toByteArray());
  }

  private static Weights read(byte[] file) throws IOException {
    return OnnxWeights.read(
        OnnxWeights.parse(new ByteArrayInputStream(file)), CONFIG, Arena.ofAuto());
  }

  @Test
  void readsAllTensorsAndTransposesMatrices() throws IOException {
    Weights weights = read(graph());

    assertThat(weights.all())
        .extracting(Weight::name)
        .containsExactlyElementsOf(Weights.shapes(CONFIG).keySet());
    assertThat(Tiny.floats(weights.get(SHIFT).data())).containsExactly(0f, 1f, 2f, 3f);
    assertThat(weights.get(INTERMEDIATE).shape()).containsExactly(5L, 4L);
    assertThat(Tiny.floats(weights.get(INTERMEDIATE).data()))
        .startsWith(0f, 5f, 10f, 15f, 1f, 6f)
        .endsWith(4f, 9f, 14f, 19f);
  }

  @ParameterizedTest
  @ValueSource(strings = {SHIFT, INTERMEDIATE})
  void namesAMissingTensor(String name) {
    GraphProto.Builder graph = graph();
    graph.removeInitializer(index(graph, name));

    assertThatIOException()
        .isThrownBy(() -> read(graph))
        .withMessage("the ONNX file has no tensor " + name);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "/MatMul", "MatMul", "/a", "/encoder/layer/0/intermediate/dense/MatMul"})
  void aProductWithoutANameOrAnInputTellsOfNoMatrix(String name) {
    GraphProto.Builder graph = graph();
    for (int i = 0; i < graph.getNodeCount(); i++) {
      NodeProto.Builder node = graph.getNodeBuilder(i).setName(name);
      if (name.endsWith("dense/MatMul")) {
        node.clearInput().addInput("x");
      }
    }

    assertThatIOException()
        .isThrownBy(() -> read(graph))
        .withMessageStartingWith("the ONNX file has no tensor ");
  }

  private static int index(GraphProto.Builder graph, String name) {
    List<String> names =
        graph.getInitializerList().stream().map(t -> t.getName().replace("onnx::", "")).toList();
    return names.indexOf(name);
  }

  @Test
  void namesATensorOfAnotherShapeOrType() {
    GraphProto.Builder shape = graph();
    shape.setInitializer(index(shape, SHIFT), tensor(SHIFT, List.of(2L, 2L)));
    assertThatIOException()
        .isThrownBy(() -> read(shape))
        .withMessage(
            "the ONNX file's tensor %s has type 1 and shape [2, 2], not float and [4]", SHIFT);

    GraphProto.Builder type = graph();
    int matrix = index(type, INTERMEDIATE);
    type.setInitializer(matrix, type.getInitializer(matrix).toBuilder().setDataType(11));
    assertThatIOException()
        .isThrownBy(() -> read(type))
        .withMessage(
            "the ONNX file's tensor %s has type 11 and shape [4, 5], not float and [4, 5]",
            INTERMEDIATE);

    GraphProto.Builder cut = graph();
    int first = index(cut, SHIFT);
    cut.setInitializer(first, cut.getInitializer(first).toBuilder().clearRawData());
    assertThatIOException().isThrownBy(() -> read(cut)).withMessageContaining(SHIFT);
  }

  @Test
  void refusesATensorThatIsTwoWeights() {
    GraphProto.Builder graph = graph();
    List<String> paths = graph.getNodeList().stream().map(NodeProto::getName).toList();
    int key = paths.indexOf("/encoder/layer/0/attention/self/key/MatMul");
    int query = paths.indexOf("/encoder/layer/0/attention/self/query/MatMul");
    String shared = graph.getNode(query).getInput(1);
    graph.setNode(key, graph.getNode(key).toBuilder().setInput(1, shared));
    assertThatIOException()
        .isThrownBy(() -> read(graph))
        .withMessage(
            "the ONNX file's tensor of encoder.layer.0.attention.self.key.weight is that of another"
                + " weight, too");
  }

  @Test
  void refusesAFileThatIsNotOnnx() {
    assertThatIOException().isThrownBy(() -> read(new byte[0])).withMessageContaining("no tensor");
    assertThatThrownBy(() -> read("this is no ONNX file".getBytes()))
        .isInstanceOf(IOException.class);
  }
}
