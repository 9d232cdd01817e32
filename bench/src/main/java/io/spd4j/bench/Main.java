package io.spd4j.bench;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.spd4j.bench.compare.CompareCommand;
import io.spd4j.bench.compare.ContestantCommand;
import io.spd4j.bench.finetune.ClassifyCommand;
import io.spd4j.bench.finetune.FinetuneCommand;
import io.spd4j.bench.finetune.TrainStepCommand;
import java.io.IOException;
import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The command line. */
@Command(
    name = "spd4j-bench",
    description = "Fine-tunes a transformer with spd4j; replays and times its optimizer steps.",
    subcommands = {
      FinetuneCommand.class,
      ClassifyCommand.class,
      ReplayCommand.class,
      StepCommand.class,
      TrainStepCommand.class,
      CompareCommand.class,
      ContestantCommand.class,
      FirstStepsCommand.class
    },
    exitCodeListHeading = "%nExit status:%n",
    exitCodeList = {
      "0:all is well",
      "1:a check failed",
      "2:bad usage, or an input that cannot be used"
    })
final class Main implements Runnable {
  @Spec private CommandSpec spec;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      scope = ScopeType.INHERIT,
      description = "Print this help.")
  private boolean help;

  /** Runs a command and exits with its status. */
  public static void main(String[] args) throws IOException, InterruptedException {
    System.exit(
        VectorModule.shouldRelaunch()
            ? VectorModule.relaunch(args)
            : run(
                new PrintWriter(System.out, true, UTF_8),
                new PrintWriter(System.err, true, UTF_8),
                args));
  }

  /** Runs a command; the exit status. */
  static int run(PrintWriter out, PrintWriter err, String... args) {
    return new CommandLine(new Main())
        .setOut(out)
        .setErr(err)
        .setCaseInsensitiveEnumValuesAllowed(true)
        .setExecutionExceptionHandler(Main::sentence)
        .execute(args);
  }

  /** What the user can mend is said in one sentence; anything else is a bug, with its trace. */
  private static int sentence(Exception e, CommandLine command, CommandLine.ParseResult parsed)
      throws Exception {
    int status =
        switch (e) {
          case Failure failure -> failure.status();
          case IOException unreadable -> CommandLine.ExitCode.USAGE;
          default -> throw e;
        };
    command.getErr().println(e.getMessage());
    return status;
  }

  @Override
  public void run() {
    spec.commandLine().usage(spec.commandLine().getOut());
  }
}
