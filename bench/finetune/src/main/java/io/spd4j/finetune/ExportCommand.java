package io.spd4j.finetune;

import io.spd4j.finetune.cli.Failure;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Exports a fine-tuned model as ONNX. */
@Command(
    name = "export",
    description = {
      "Writes a fine-tuned encoder as an ONNX file, and tokenizer.json beside it, for ONNX Runtime, "
          + "LangChain4j and others. Adapters are merged into the weights. The embedding of a text "
          + "is the mean of last_hidden_state."
    },
    footer = {
      "",
      "Example: java -jar spd4j-finetune.jar export finetune-spd-1-seed1.safetensors model.onnx"
    })
public final class ExportCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      index = "0",
      paramLabel = "MODEL",
      description = "A weights file that finetune wrote.")
  private Path model;

  @Parameters(index = "1", paramLabel = "FILE", description = "The ONNX file to write or replace.")
  private Path file;

  @Option(names = Export.WITH_HEAD, description = Export.WITH_HEAD_DESCRIPTION)
  private boolean withHead;

  @Mixin private LengthOption length;

  @Override
  public Integer call() throws Failure, IOException {
    new Export(file, withHead).write(model, length.tokens(model), spec.commandLine().getOut());
    return ExitCode.OK;
  }
}
