package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.mpi.Mpi;
import io.spd4j.onednn.OneDnn;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.stream.Collectors;
import org.assertj.core.api.Assertions;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

/** Tests the report in this JVM. PackagedJarIT tests what the packaged jar prints. */
class DiagnosticsTest {
  @Test
  void theReportSaysWhetherOneDnnIsAvailable() {
    OneDnn.Availability oneDnn = OneDnn.availability();
    String state = oneDnn.available() ? "yes  " : "no   ";
    assertThat(Diagnostics.report().lines()).contains("  onednn  " + state + oneDnn.reason());
  }

  @Test
  void theReportSaysWhetherMpiIsAvailable() {
    Mpi.Availability mpi = Mpi.availability();
    String state = mpi.available() ? "yes  " : "no   ";
    assertThat(Diagnostics.report().lines()).contains("  mpi     " + state + mpi.reason());
  }

  @Test
  void theReportNamesTheTypesThatCanBeStepped() {
    String types =
        Diagnostics.report()
            .lines()
            .dropWhile(line -> !line.contains("each of them steps"))
            .limit(2)
            .collect(Collectors.joining());
    try (Arena arena = Arena.ofConfined()) {
      for (ElementType type : ElementType.values()) {
        MemorySegment data = arena.allocate(8, 8);
        ThrowingCallable build = () -> Parameter.builder("p", data, type).build();
        boolean accepted = Assertions.catchThrowable(build) == null;
        assertThat(types.matches(".*\\b" + type + "\\b.*")).as("%s", type).isEqualTo(accepted);
      }
    }
    for (MomentType type : MomentType.values()) {
      assertThat(types).contains(type.toString());
    }
  }
}
