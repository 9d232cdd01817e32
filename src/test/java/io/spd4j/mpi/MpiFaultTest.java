package io.spd4j.mpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** When a call of MPI fails on a rank, it says which, and no rank hangs. */
class MpiFaultTest {
  @TempDir private static Path folder;
  private static Path library;

  @BeforeAll
  static void compile() throws Exception {
    assumeTrue(!MpiRun.launchers().getFirst().endsWith("mpich"), "Open MPI is not installed");
    Matcher file = Pattern.compile("loaded from (/[^, ]+)").matcher(Mpi.availability().reason());
    assumeTrue(file.find(), "Open MPI is not among the system's libraries");
    library = folder.resolve("libmpi_faults.so");
    List<String> command =
        List.of(
            "gcc",
            "-shared",
            "-fPIC",
            "-Wall",
            "-Werror",
            "-Ijextract",
            "-o",
            library.toString(),
            "src/test/resources/mpi/faults.c",
            file.group(1));
    try {
      assertThat(new ProcessBuilder(command).inheritIO().start().waitFor()).isZero();
    } catch (IOException absent) {
      assumeTrue(false, "no gcc was found");
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "MPI_Initialized:1",
        "MPI_Init_thread:1",
        "MPI_Comm_set_errhandler:3",
        "MPI_Comm_rank:1",
        "MPI_Comm_size:1",
        "MPI_Comm_dup:2",
        "MPI_Isend:1",
        "MPI_Isend:4",
        "MPI_Irecv:1",
        "MPI_Irecv:5",
        "MPI_Test:1",
        "MPI_Test:25",
        "MPI_Get_count:3",
        "MPI_Finalize:1"
      })
  void aCallThatFailsEndsTheJob(String fault) throws Exception {
    String[] call = fault.split(":");
    MpiRun run =
        MpiRun.of(
            MpiRun.launchers().getFirst(),
            2,
            List.of("-Dmpi.library.path=" + library),
            Map.of("FAULT", fault, "FAULT_RANK", "1"),
            "fault");
    assertThat(run.exit()).as(run.out()).isNotZero();
    assertThat(run.out()).contains(call[0] + ": ").doesNotContain("<1: ended>");
  }
}
