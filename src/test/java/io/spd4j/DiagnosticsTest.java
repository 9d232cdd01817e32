package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.onednn.OneDnn;
import org.junit.jupiter.api.Test;

/** Tests the report in this JVM. PackagedJarIT tests what the packaged jar prints. */
class DiagnosticsTest {
  @Test
  void theReportSaysWhetherOneDnnIsAvailable() {
    OneDnn.Availability oneDnn = OneDnn.availability();
    String state = oneDnn.available() ? "yes  " : "no   ";
    assertThat(Diagnostics.report().lines()).contains("  onednn  " + state + oneDnn.reason());
  }
}
