package io.spd4j.finetune;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.data.MailTokenizer;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.OnnxExport;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.finetune.report.ReportFiles;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;

/**
 * A fine-tuned model as an ONNX file, with its tokenizer beside it.
 *
 * @param file the ONNX file
 * @param withHead whether it has the classifier's outputs, too
 */
record Export(Path file, boolean withHead) {
  static final String WITH_HEAD = "--with-head";

  static final String WITH_HEAD_DESCRIPTION =
      "Give the ONNX file the classifier's outputs, too: logits and probabilities, [batch, 2], of "
          + "ham and spam.";

  /** The metadata key of the names of the head's classes. */
  private static final String CLASSES = "classes";

  private Path tokenizer() {
    return file.resolveSibling("tokenizer.json");
  }

  /**
   * Checks what can be checked before there is a model.
   *
   * @param tokens see {@link #write}
   * @throws Failure if the file's name is not one of an ONNX file, or its folder cannot be written
   *     to or has the tokenizer of another model
   */
  void check(int tokens) throws Failure, IOException {
    if (!file.toString().endsWith(".onnx") || Files.isDirectory(file)) {
      throw Failure.ofInput(file + " is not the name of an ONNX file: it must end with .onnx");
    }
    Path folder = file.toAbsolutePath().getParent();
    if (!Files.isDirectory(folder) || !Files.isWritable(folder)) {
      throw Failure.ofInput(folder + " is not a folder that can be written to");
    }
    if (Files.exists(tokenizer())
        && !Arrays.equals(Files.readAllBytes(tokenizer()), MailTokenizer.json(tokens))) {
      throw Failure.ofInput(
          "%s is not the tokenizer of this model, cut at %d tokens: remove it, or export to another"
                  .formatted(tokenizer(), tokens)
              + " folder");
    }
  }

  /**
   * Writes or replaces both files, each of which appears complete or not at all.
   *
   * @param model a weights file that finetune wrote
   * @param tokens where the tokenizer cuts a text, as in training
   * @throws Failure if that file is not such a model, or a file cannot be written
   */
  void write(Path model, int tokens, PrintWriter out) throws Failure, IOException {
    check(tokens);
    Map<String, String> metadata = new TreeMap<>(SavedModel.metadata(model));
    metadata.remove("format"); // of safetensors
    metadata.put(SavedModel.LENGTH, Integer.toString(tokens));
    if (withHead) {
      metadata.put(CLASSES, "ham, spam");
    }
    byte[] json = MailTokenizer.json(tokens);
    try (Arena arena = Arena.ofConfined()) {
      Weights weights = SavedModel.read(model, Config.MINILM_L6, arena);
      ReportFiles.write(tokenizer(), stream -> stream.write(json));
      ReportFiles.write(file, stream -> OnnxExport.minilm(stream, weights, metadata, withHead));
    }
    out.println("ONNX model: " + file + ", its tokenizer: " + tokenizer());
  }
}
