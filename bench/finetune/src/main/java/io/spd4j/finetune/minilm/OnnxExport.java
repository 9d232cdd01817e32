package io.spd4j.finetune.minilm;

import ai.onnx.proto.OnnxMl.GraphProto;
import ai.onnx.proto.OnnxMl.ModelProto;
import ai.onnx.proto.OnnxMl.StringStringEntryProto;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.util.Map;
import java.util.TreeMap;

/** Writes fine-tuned weights into the ONNX graph that the pre-trained ones came from. */
public final class OnnxExport {
  private OnnxExport() {}

  /**
   * Writes all-MiniLM-L6-v2 with other weights.
   *
   * @param weights the tensors of {@link Weights#shapes}, adapters if there are any, and the head
   *     if it is to be written
   * @param metadata goes into the file, sorted by key
   * @param withHead whether to add the classifier's outputs, {@link OnnxHead}
   */
  public static void minilm(
      OutputStream out, Weights weights, Map<String, String> metadata, boolean withHead)
      throws IOException {
    export(OnnxWeights.minilmModel(), Config.MINILM_L6, weights, metadata, withHead).writeTo(out);
  }

  /**
   * Returns the model with its encoder's initializers replaced; adapters are merged into them. The
   * nodes, and what the encoder takes and returns, do not change.
   *
   * @throws IOException if the model is not such an encoder
   */
  static ModelProto export(
      ModelProto model,
      Config config,
      Weights weights,
      Map<String, String> metadata,
      boolean withHead)
      throws IOException {
    Map<String, OnnxInitializer> initializers = OnnxInitializer.of(model.getGraph(), config);
    ModelProto.Builder export = model.toBuilder();
    GraphProto.Builder graph = export.getGraphBuilder();
    try (Arena arena = Arena.ofConfined()) {
      Weights merged = Lora.merge(arena, weights);
      initializers.forEach(
          (name, initializer) -> initializer.write(graph, merged.get(name).data()));
    }
    if (withHead) {
      OnnxHead.add(export, weights);
    }
    new TreeMap<>(metadata)
        .forEach((key, value) ->
            export.addMetadataProps(
                StringStringEntryProto.newBuilder().setKey(key).setValue(value)));
    return export.build();
  }
}
