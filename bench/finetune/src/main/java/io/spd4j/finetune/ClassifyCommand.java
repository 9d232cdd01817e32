package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.data.MailTokenizer;
import io.spd4j.finetune.minilm.Classifier;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.onednn.OneDnn;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Classifies texts with a fine-tuned model. */
@Command(
    name = "classify",
    description = "Prints the probability that each text is spam, according to a fine-tuned model.",
    footer = {
      "",
      "Example: java -jar spd4j-finetune.jar classify finetune-spd-1-seed1.safetensors"
          + " \"You have won\""
    })
public final class ClassifyCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      index = "0",
      paramLabel = "MODEL",
      description = "A weights file that finetune wrote.")
  private Path model;

  @Parameters(
      index = "1..*",
      arity = "1..*",
      paramLabel = "TEXT",
      description = "Texts to classify.")
  private List<String> texts;

  @Mixin private LengthOption length;

  @Override
  public Integer call() throws Failure, IOException {
    int tokens = length.tokens(model);
    PrintWriter out = spec.commandLine().getOut();
    try (Arena arena = Arena.ofConfined();
        MailTokenizer tokenizer = new MailTokenizer();
        OneDnn dnn = open()) {
      Weights weights = SavedModel.read(model, Config.MINILM_L6, arena);
      Classifier classifier =
          new Classifier(dnn, Config.MINILM_L6, weights, 1, Tokens.padded(tokens), arena);
      for (String text : texts) {
        MemorySegment logits =
            classifier.forward(Tokens.sequences(List.of(tokenizer.encode(text, tokens))));
        double margin = logits.getAtIndex(JAVA_FLOAT, 1) - logits.getAtIndex(JAVA_FLOAT, 0);
        out.printf(Locale.ROOT, "%.4f  %s%n", 1 / (1 + Math.exp(-margin)), text);
      }
    }
    return ExitCode.OK;
  }

  private static OneDnn open() throws Failure {
    try {
      return OneDnn.open(Runtime.getRuntime().availableProcessors());
    } catch (IllegalStateException unavailable) {
      throw Failure.ofInput(unavailable.getMessage());
    }
  }
}
