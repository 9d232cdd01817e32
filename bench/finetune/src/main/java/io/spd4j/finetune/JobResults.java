package io.spd4j.finetune;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.finetune.report.FinetuneReport;
import io.spd4j.finetune.report.JoinedReport;
import io.spd4j.finetune.report.Machine;
import io.spd4j.finetune.report.ReportFiles;
import io.spd4j.finetune.report.Run;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;

/**
 * The files of a job's results.
 *
 * @param processes only the first one writes
 * @param testSets the titles of the test sets
 */
record JobResults(
    JobOptions options,
    TrainingOptions training,
    Processes processes,
    List<String> testSets,
    Log log) {
  /** Returns the path of a file whose name begins with that of the job. */
  Path file(String rest) {
    return options.results.resolve(options.name + rest);
  }

  /**
   * Returns what the runs resulted in.
   *
   * @param trials the number of trials, with which the job begins
   */
  FinetuneReport report(List<Run> runs, int trials) {
    int tried = Math.min(trials, runs.size());
    Map<String, Object> settings = training.settings(processes);
    settings.put("state", JoinedReport.setting(options.states.stream().map(State::toString)));
    if (options.rules.contains(Method.LP_FT)) {
      settings.put(JoinedReport.PROBING, training.probing());
    }
    settings.put("held back", options.testFraction);
    if (options.validation() > 0) {
      settings.put("held back of the rest, for validation", options.validation());
    }
    settings.put(
        "data", JoinedReport.setting(options.variations.stream().map(Variation::toString)));
    if (options.testLimit != null) {
      settings.put("largest number of mails per test set", options.testLimit);
    }
    return new FinetuneReport(
        "all-MiniLM-L6-v2 as a spam classifier",
        settings,
        Machine.here(),
        Instant.now(),
        testSets,
        runs.subList(tried, runs.size()),
        runs.subList(0, tried));
  }

  /**
   * Writes the report.
   *
   * @param trials see {@link #report}
   * @throws Failure if it cannot be written
   */
  ReportFiles.Written write(List<Run> runs, int trials) throws Failure {
    return ReportFiles.write(options.results, options.name, report(runs, trials));
  }

  /**
   * Returns the file's name. If the file cannot be written, prints why and returns null, so that
   * the run is not lost.
   */
  String save(RunSpec run, Weights weights) {
    String file = options.name + "-" + run.fileName(training.lrs.size() > 1) + ".safetensors";
    Map<String, String> metadata =
        Map.of(
            "format",
            "pt",
            "base",
            "all-MiniLM-L6-v2",
            "run",
            run.title(),
            SavedModel.LENGTH,
            Integer.toString(training.length));
    if (!processes.isFirst()) {
      return file;
    }
    try {
      SavedModel.write(options.results.resolve(file), weights, metadata);
      return file;
    } catch (IOException e) {
      log.problem(
          "the weights could not be written to %s: %s"
              .formatted(options.results.resolve(file), ReportFiles.reason(e)));
      return null;
    }
  }
}
