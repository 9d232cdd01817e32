package io.spd4j.finetune.report;

import io.spd4j.finetune.cli.Failure;
import java.nio.file.Path;

/** Writes a sample's files in a separate JVM, because a JVM looks for fonts only once. */
final class WriteSample {
  private WriteSample() {}

  /**
   * Takes the folder, and anything more for a report of several kinds of data; prints the warning.
   */
  public static void main(String[] args) throws Failure {
    ReportFiles.Written written =
        ReportFiles.write(
            Path.of(args[0]),
            "sample",
            args.length > 1 ? SampleReport.chosen(4) : SampleReport.seeds(30, 2));
    System.out.print(written.warning().orElse(""));
  }
}
