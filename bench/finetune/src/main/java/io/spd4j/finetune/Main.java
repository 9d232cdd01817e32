package io.spd4j.finetune;

import io.spd4j.finetune.cli.Program;
import java.io.IOException;
import picocli.CommandLine.Command;

/** The command line. */
@Command(
    name = "spd4j-finetune",
    description = "Fine-tunes a transformer with spd4j.",
    subcommands = {
      FinetuneCommand.class,
      ReportCommand.class,
      ClassifyCommand.class,
      ExportCommand.class,
      PretrainCommand.class,
      TrainStepCommand.class,
      DjlCommand.class,
      DjlStepCommand.class
    })
final class Main extends Program {
  /** Runs a command and exits with its status. */
  public static void main(String[] args) throws IOException, InterruptedException {
    new Main().exit(args);
  }
}
