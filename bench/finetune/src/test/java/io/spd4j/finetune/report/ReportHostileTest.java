package io.spd4j.finetune.report;

import io.spd4j.finetune.HostileBytes;
import io.spd4j.finetune.cli.Failure;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportHostileTest {
  @TempDir private Path folder;

  @Test
  void aChangedReportIsReadOrRefusedInOneSentence() throws IOException {
    ByteArrayOutputStream valid = new ByteArrayOutputStream();
    Json.write(JsonReport.of(SampleReport.interrupted(12)), valid);
    Path path = folder.resolve("report.json");
    HostileBytes.feed(
        ReportHostileTest.class,
        valid.toByteArray(),
        json -> {
          Files.deleteIfExists(path);
          Files.write(path, json);
          try {
            JoinedReport.of(List.of(path));
          } catch (Failure e) {
            // as documented
          }
        });
  }
}
