package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.onednn.OneDnn;
import org.junit.jupiter.api.Test;

/** What is printed from the packaged jar, PackagedJarIT looks at. */
class DiagnosticsTest {
  @Test
  void tellWhetherOneDnnCanBeUsed() {
    OneDnn.Availability oneDnn = OneDnn.availability();
    String state = oneDnn.available() ? "yes  " : "no   ";
    assertThat(Diagnostics.report().lines()).contains("  onednn  " + state + oneDnn.reason());
  }
}
