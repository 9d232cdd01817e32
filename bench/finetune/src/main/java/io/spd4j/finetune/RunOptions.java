package io.spd4j.finetune;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.State;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Option;

/** What the runs of a job are repeated with, and where the results go. */
class RunOptions {
  @Option(
      names = "--state",
      split = ",",
      defaultValue = "float32",
      converter = State.Converter.class,
      description =
          "How the optimizer's arrays are stored, or several ways to compare: "
              + State.HELP
              + "; default: ${DEFAULT-VALUE}.")
  List<State> states;

  @Option(
      names = "--seeds",
      paramLabel = "SEEDS",
      converter = Seeds.Converter.class,
      defaultValue = "1",
      description =
          "Every run is repeated with each seed, which sets the data's order and the initial values. "
              + "Seeds and ranges of seeds, as in 1,2,5..7; default: ${DEFAULT-VALUE}.")
  private Seeds seeds;

  @Option(
      names = "--results",
      defaultValue = "bench/results",
      description = "Folder for reports and weights; default: ${DEFAULT-VALUE}.")
  Path results;

  /** Returns different seeds in the order given. */
  List<Long> seeds() {
    return seeds.values();
  }

  /**
   * Checks what picocli cannot, and creates the folder for the results.
   *
   * @throws Failure if the folder cannot be created
   */
  void check() throws Failure {
    try {
      Files.createDirectories(results);
    } catch (IOException e) {
      throw Failure.ofOutput(results + " cannot be created: choose another folder with --results");
    }
    if (!Files.isWritable(results)) {
      throw Failure.ofOutput(results + " cannot be written to: choose another with --results");
    }
  }
}
