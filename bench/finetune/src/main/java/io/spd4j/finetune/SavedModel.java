package io.spd4j.finetune;

import io.spd4j.ElementType;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.minilm.Classifier;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.Lora;
import io.spd4j.finetune.minilm.Weight;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.safetensors.SafetensorsFile;
import io.spd4j.safetensors.SafetensorsWriter;
import io.spd4j.safetensors.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/** Fine-tuned weights in a safetensors file: encoder, adapters if there are any, head. */
final class SavedModel {
  /** The metadata key of the length, in tokens, that the model was trained with. */
  static final String LENGTH = "tokens";

  private SavedModel() {}

  /**
   * Writes the weights; replaces an existing file.
   *
   * @param metadata describes the weights
   */
  static void write(Path file, Weights weights, Map<String, String> metadata) throws IOException {
    List<Tensor> tensors =
        weights.all().stream()
            .map(w -> new Tensor(w.name(), ElementType.FLOAT32, w.shape(), w.data()))
            .toList();
    SafetensorsWriter.write(file, tensors, metadata);
  }

  /**
   * Returns the largest number of tokens of a text that the model was trained with.
   *
   * @throws Failure if the file does not say what it was
   */
  static int length(Path file) throws Failure, IOException {
    String length = metadata(file).get(LENGTH);
    if (length == null || !length.matches("\\d{1,9}")) {
      throw Failure.ofInput(file + " does not say what length it was trained with: use --length");
    }
    return Integer.parseInt(length);
  }

  /** Returns what the file says about its weights. */
  static Map<String, String> metadata(Path file) throws Failure, IOException {
    try (Arena arena = Arena.ofConfined()) {
      return map(file, arena).metadata();
    }
  }

  private static SafetensorsFile map(Path file, Arena arena) throws Failure, IOException {
    if (!Files.isRegularFile(file)) {
      throw Failure.ofInput(file + " is not a file: name one that finetune wrote");
    }
    return SafetensorsFile.map(file, arena);
  }

  /**
   * Maps weights for inference.
   *
   * @throws Failure if the file is not one of such a model
   */
  static Weights read(Path file, Config config, Arena arena) throws Failure, IOException {
    SequencedMap<String, Tensor> saved = map(file, arena).tensors();
    SequencedMap<String, List<Long>> shapes = Weights.shapes(config);
    long hidden = config.hidden();
    saved.values().stream()
        .filter(tensor -> Lora.isNameOf(tensor.name()))
        .findFirst()
        .ifPresent(tensor -> shapes.putAll(Lora.shapes(config, tensor.numel() / hidden)));
    shapes.put(Classifier.HEAD + "weight", List.of((long) Model.CLASSES, hidden));
    shapes.put(Classifier.HEAD + "bias", List.of((long) Model.CLASSES));
    List<Weight> weights = new ArrayList<>();
    for (Map.Entry<String, List<Long>> need : shapes.entrySet()) {
      weights.add(weight(file, need.getKey(), need.getValue(), saved.get(need.getKey())));
    }
    return new Weights(weights);
  }

  private static Weight weight(Path file, String name, List<Long> shape, Tensor tensor)
      throws Failure {
    if (tensor == null
        || tensor.dtype() != ElementType.FLOAT32
        || !tensor.shape().equals(shape)
        || !tensor.isAligned()) {
      throw Failure.ofInput(
          "%s is not a fine-tuned model: it has no tensor %s of type F32 and shape %s"
              .formatted(file, name, shape));
    }
    return new Weight(name, shape, tensor.data(), null);
  }
}
