package io.spd4j.finetune;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.report.FinetuneReport;
import io.spd4j.finetune.report.JoinedReport;
import io.spd4j.finetune.report.ReportFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Joins reports of jobs into one. */
@Command(
    name = "report",
    description = {
      "Joins the runs of finetune jobs that shared rules, seeds or data among them into one report: "
          + "prints the tables, and writes NAME.html and NAME.json. The jobs must have had the same "
          + "settings, but for learning rates, states, data and threads."
    },
    footer = {
      "",
      "Example: java -jar spd4j-finetune.jar report --name all bench/results/seeds1.json"
          + " bench/results/seeds2.json"
    })
public final class ReportCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      arity = "1..*",
      paramLabel = "FILE",
      description = "The numbers that finetune or report wrote as JSON, one file or several.")
  private List<Path> files;

  @Option(
      names = "--name",
      required = true,
      description = "The name of the files to write or replace, without an extension.")
  private String name;

  @Option(
      names = "--results",
      defaultValue = "bench/results",
      description = "Folder for the files; default: ${DEFAULT-VALUE}.")
  private Path results;

  @Option(
      names = "--no-history",
      description =
          "Leave out what happened step by step, and the pictures of it, for small files. The tables "
              + "stay the same.")
  private boolean noHistory;

  @Override
  public Integer call() throws Failure, IOException {
    ReportFiles.checkName(name);
    refuseInputs();
    FinetuneReport joined = JoinedReport.of(files);
    FinetuneReport report = noHistory ? joined.withoutHistory() : joined;
    Log log = new Log(spec.commandLine().getOut(), spec.commandLine().getErr(), false);
    log.result(report.markdown());
    ReportFiles.Written written = ReportFiles.write(results, name, report);
    written.warning().ifPresent(log::problem);
    log.result("report: " + written.html() + ", numbers: " + written.json());
    return ExitCode.OK;
  }

  /** A file that is read is not replaced: what is left out of it would be lost. */
  private void refuseInputs() throws Failure, IOException {
    Path target = results.resolve(name + ".json");
    for (Path file : files) {
      if (Files.exists(target) && Files.exists(file) && Files.isSameFile(target, file)) {
        throw Failure.ofInput(file + " would be replaced: choose another --name");
      }
    }
  }
}
