package io.spd4j.bench;

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
    description = "Replays and times spd4j's optimizer steps.",
    subcommands = {ReplayCommand.class, StepCommand.class},
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
            : run(new PrintWriter(System.out, true), new PrintWriter(System.err, true), args));
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
