package io.spd4j.finetune.minilm;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Where the graph of a BERT encoder that PyTorch exported to ONNX holds a weight. Most initializers
 * have HuggingFace's names. The matrices of linear layers are anonymous and transposed; they are
 * found through the nodes that multiply by them, whose names are the layers' paths.
 *
 * @param index the position in the graph's list of initializers
 * @param rows the initializer's rows if it is the transposed weight, else 1
 * @param columns the initializer's elements per row
 */
record OnnxInitializer(int index, long rows, long columns) {
  /** ONNX stores numbers in little-endian order. */
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private static final Pattern MATMUL = Pattern.compile("/(.+)/MatMul");

  /**
   * Returns the initializers of all of an encoder's weights, by the weights' names.
   *
   * @throws IOException if a tensor is missing, has another type or shape, or is shared by two
   *     weights
   */
  static SequencedMap<String, OnnxInitializer> of(GraphProto graph, Config config)
      throws IOException {
    Map<String, Integer> named = new HashMap<>();
    for (int i = 0; i < graph.getInitializerCount(); i++) {
      named.put(graph.getInitializer(i).getName(), i);
    }
    Map<String, Integer> matrices = new HashMap<>();
    for (NodeProto node : graph.getNodeList()) {
      Matcher path = MATMUL.matcher(node.getName());
      if (node.getOpType().equals("MatMul")
          && path.matches()
          && node.getInputCount() == 2
          && named.containsKey(node.getInput(1))) {
        matrices.put(path.group(1).replace('/', '.') + ".weight", named.get(node.getInput(1)));
      }
    }
    SequencedMap<String, OnnxInitializer> initializers = new LinkedHashMap<>();
    Set<Integer> used = new HashSet<>();
    for (Map.Entry<String, List<Long>> need : Weights.shapes(config).entrySet()) {
      String name = need.getKey();
      Integer matrix = matrices.get(name);
      Integer index = matrix != null ? matrix : named.get(name);
      if (index == null) {
        throw new IOException("the ONNX file has no tensor " + name);
      }
      if (!used.add(index)) {
        throw new IOException(
            "the ONNX file's tensor of %s is that of another weight, too".formatted(name));
      }
      initializers.put(name, of(graph, index, name, need.getValue(), matrix != null));
    }
    return initializers;
  }

  private static OnnxInitializer of(
      GraphProto graph, int index, String name, List<Long> shape, boolean transposed)
      throws IOException {
    TensorProto tensor = graph.getInitializer(index);
    List<Long> stored = transposed ? shape.reversed() : shape;
    long numel = shape.stream().reduce(1L, Math::multiplyExact);
    if (tensor.getDataType() != TensorProto.DataType.FLOAT.getNumber()
        || !tensor.getDimsList().equals(stored)
        || tensor.getRawData().size() != numel * Float.BYTES) {
      throw new IOException(
          "the ONNX file's tensor %s has type %d and shape %s, not float and %s"
              .formatted(name, tensor.getDataType(), tensor.getDimsList(), stored));
    }
    long rows = transposed ? stored.getFirst() : 1;
    return new OnnxInitializer(index, rows, numel / rows);
  }

  /** Reads the values into a weight's data. */
  void read(GraphProto graph, MemorySegment data) {
    ByteString raw = graph.getInitializer(index).getRawData();
    MemorySegment values = MemorySegment.ofBuffer(raw.asReadOnlyByteBuffer());
    for (long i = 0; i < rows; i++) {
      for (long j = 0; j < columns; j++) {
        float value = values.get(FLOAT, (i * columns + j) * Float.BYTES);
        data.setAtIndex(ValueLayout.JAVA_FLOAT, j * rows + i, value);
      }
    }
  }

  /** Replaces the values by those of a weight's data. */
  void write(GraphProto.Builder graph, MemorySegment data) {
    byte[] raw = new byte[Math.toIntExact(data.byteSize())];
    MemorySegment values = MemorySegment.ofArray(raw);
    for (long i = 0; i < rows; i++) {
      for (long j = 0; j < columns; j++) {
        float value = data.getAtIndex(ValueLayout.JAVA_FLOAT, j * rows + i);
        values.set(FLOAT, (i * columns + j) * Float.BYTES, value);
      }
    }
    graph.getInitializerBuilder(index).setRawData(UnsafeByteOperations.unsafeWrap(raw));
  }
}
