package io.spd4j.finetune.cli;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.spd4j.mpi.MpiException;
import java.io.IOException;
import java.io.PrintWriter;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** A command line with subcommands, which a subclass names. */
@Command(
    exitCodeListHeading = "%nExit status:%n",
    exitCodeList = {
      "0:success",
      "1:a check failed",
      "2:bad usage, or an input that cannot be used",
      "3:results could not be written",
      "4:training diverged",
      "5:a checkpoint cannot be used",
      "6:not enough memory",
      "130:interrupted by Ctrl-C (143: by SIGTERM)"
    })
public abstract class Program implements Runnable {
  @Spec private CommandSpec spec;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      scope = ScopeType.INHERIT,
      description = "Print this help.")
  private boolean help;

  /** Runs a command and exits with its status; starts another JVM if this one lacks an option. */
  protected final void exit(String[] args) throws IOException, InterruptedException {
    System.exit(
        VectorModule.shouldRelaunch()
            ? VectorModule.relaunch(getClass(), args)
            : run(
                new PrintWriter(System.out, true, UTF_8),
                new PrintWriter(System.err, true, UTF_8),
                args));
  }

  /** Runs a command and returns the exit status. */
  public final int run(PrintWriter out, PrintWriter err, String... args) {
    try {
      return new CommandLine(this)
          .setOut(out)
          .setErr(err)
          .setCaseInsensitiveEnumValuesAllowed(true)
          .setExecutionExceptionHandler(Program::sentence)
          .execute(args);
    } catch (OutOfMemoryError e) {
      err.println(
          "not enough memory (%s): give the JVM more with -Xmx, or take less at a time"
              .formatted(e.getMessage()));
      return ExitStatus.MEMORY;
    }
  }

  /**
   * Prints one sentence for an error that the user can fix. Rethrows any other error: it is a bug.
   */
  private static int sentence(Exception e, CommandLine command, CommandLine.ParseResult parsed)
      throws Exception {
    int status =
        switch (e) {
          case Failure failure -> failure.status();
          case IOException unreadable -> ExitStatus.INPUT;
          case MpiException another -> ExitStatus.CHECK; // another process says more
          default -> throw e;
        };
    command.getErr().println(e.getMessage());
    return status;
  }

  /** Prints the usage, because no command was given. */
  @Override
  public final void run() {
    spec.commandLine().usage(spec.commandLine().getOut());
  }
}
