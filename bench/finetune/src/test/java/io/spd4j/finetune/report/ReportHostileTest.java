package io.spd4j.finetune.report;

import io.spd4j.finetune.HostileFiles;
import io.spd4j.finetune.cli.Failure;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

public class ReportHostileTest {
  private static final Path PATH = path();

  private static Path path() {
    try {
      Path path = Files.createTempFile("spd4j", ".json");
      path.toFile().deleteOnExit();
      return path;
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /** What Jazzer calls. */
  public static void fuzzerTestOneInput(byte[] json) throws IOException {
    Files.write(PATH, json);
    try {
      JoinedReport.of(List.of(PATH));
    } catch (Failure e) {
      // as documented
    }
  }

  @Test
  void anyReportIsReadOrRefusedInOneSentence() throws Exception {
    ByteArrayOutputStream valid = new ByteArrayOutputStream();
    Json.write(JsonReport.of(SampleReport.interrupted(12)), valid);
    HostileFiles.feed(
        ReportHostileTest.class, valid.toByteArray(), ReportHostileTest::fuzzerTestOneInput);
  }
}
