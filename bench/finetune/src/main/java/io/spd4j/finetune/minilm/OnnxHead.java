package io.spd4j.finetune.minilm;

import ai.onnx.proto.OnnxMl.AttributeProto;
import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import ai.onnx.proto.OnnxMl.TensorShapeProto.Dimension;
import ai.onnx.proto.OnnxMl.ValueInfoProto;
import java.io.IOException;
import java.util.List;

/**
 * The classifier's nodes in an ONNX graph, after the encoder's: the mean of the last hidden states
 * that the attention mask does not hide, the linear head, and softmax. They give two more outputs,
 * of shape [batch_size, classes].
 */
final class OnnxHead {
  static final String LOGITS = "logits";
  static final String PROBABILITIES = "probabilities";

  /** Before this version of ONNX's operators, axes are attributes. */
  private static final int AXES_ARE_INPUTS = 13;

  private static final int FLOAT = TensorProto.DataType.FLOAT.getNumber();

  private static final String WEIGHT = Classifier.HEAD + "weight";
  private static final String BIAS = Classifier.HEAD + "bias";

  private final GraphProto.Builder graph;

  private OnnxHead(GraphProto.Builder graph) {
    this.graph = graph;
  }

  /**
   * Adds the head.
   *
   * @param weights the head's tensors
   * @throws IOException if the model's version of the operators has other nodes
   */
  static void add(ModelProto.Builder model, Weights weights) throws IOException {
    for (OperatorSetIdProto operators : model.getOpsetImportList()) {
      if (operators.getDomain().isEmpty() && operators.getVersion() >= AXES_ARE_INPUTS) {
        throw new IOException(
            "the ONNX file's operators have version %d, but the head needs one before %d"
                .formatted(operators.getVersion(), AXES_ARE_INPUTS));
      }
    }
    new OnnxHead(model.getGraphBuilder()).add(weights);
  }

  private void add(Weights weights) {
    ValueInfoProto states = graph.getOutput(0);
    String tokens = node("Cast", List.of("attention_mask"), integer("to", FLOAT));
    String mask = node("Unsqueeze", List.of(tokens), axes(2));
    String masked = node("Mul", List.of(states.getName(), mask));
    String sum = node("ReduceSum", List.of(masked), axes(1), integer("keepdims", 0));
    String count = node("ReduceSum", List.of(tokens), axes(1), integer("keepdims", 1));
    String mean = node("Div", List.of(sum, count));
    List<String> linear = List.of(mean, tensor(weights.get(WEIGHT)), tensor(weights.get(BIAS)));
    output(LOGITS, "Gemm", linear, integer("transB", 1));
    output(PROBABILITIES, "Softmax", List.of(LOGITS), integer("axis", 1));
    long classes = weights.get(BIAS).numel();
    Dimension size = states.getType().getTensorType().getShape().getDim(0);
    declare(LOGITS, size, classes);
    declare(PROBABILITIES, size, classes);
  }

  /** Adds a node and returns the name of its output. */
  private String node(String operator, List<String> inputs, AttributeProto... attributes) {
    String name = "/head/" + operator + "_" + graph.getNodeCount() + "_output_0";
    output(name, operator, inputs, attributes);
    return name;
  }

  private void output(
      String name, String operator, List<String> inputs, AttributeProto... attributes) {
    graph.addNode(
        NodeProto.newBuilder()
            .setName("/head/" + operator + "_" + graph.getNodeCount())
            .setOpType(operator)
            .addAllInput(inputs)
            .addOutput(name)
            .addAllAttribute(List.of(attributes)));
  }

  private static AttributeProto integer(String name, long value) {
    return AttributeProto.newBuilder()
        .setName(name)
        .setType(AttributeProto.AttributeType.INT)
        .setI(value)
        .build();
  }

  private static AttributeProto axes(long axis) {
    return AttributeProto.newBuilder()
        .setName("axes")
        .setType(AttributeProto.AttributeType.INTS)
        .addInts(axis)
        .build();
  }

  /** Adds an initializer and returns its name. */
  private String tensor(Weight weight) {
    int index = graph.getInitializerCount();
    graph.addInitializer(
        TensorProto.newBuilder()
            .setName(weight.name())
            .setDataType(FLOAT)
            .addAllDims(weight.shape()));
    new OnnxInitializer(index, 1, weight.numel()).write(graph, weight.data());
    return weight.name();
  }

  private void declare(String output, Dimension size, long classes) {
    ValueInfoProto.Builder value = ValueInfoProto.newBuilder().setName(output);
    value
        .getTypeBuilder()
        .getTensorTypeBuilder()
        .setElemType(FLOAT)
        .getShapeBuilder()
        .addDim(size)
        .addDim(Dimension.newBuilder().setDimValue(classes));
    graph.addOutput(value);
  }
}
