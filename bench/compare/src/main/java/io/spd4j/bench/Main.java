package io.spd4j.bench;

import io.spd4j.bench.compare.CompareCommand;
import io.spd4j.bench.compare.ContestantCommand;
import io.spd4j.finetune.cli.Program;
import java.io.IOException;
import picocli.CommandLine.Command;

/** The command line. */
@Command(
    name = "spd4j-bench",
    description = "Compares, replays and times spd4j's optimizer steps.",
    subcommands = {
      ReplayCommand.class,
      StepCommand.class,
      CompareCommand.class,
      ContestantCommand.class
    })
public final class Main extends Program {
  /** Runs a command and exits with its status. */
  public static void main(String[] args) throws IOException, InterruptedException {
    new Main().exit(args);
  }
}
