package io.spd4j.mpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An Open MPI one of whose calls fails.
 *
 * @param library wraps that of Open MPI
 */
public record MpiFaults(Path library) {
  /** Compiles the library; skips the test where that is impossible. */
  public static MpiFaults compile(Path folder) throws InterruptedException {
    assumeTrue(!MpiRun.launchers().getFirst().endsWith("mpich"), "Open MPI is not installed");
    Matcher file = Pattern.compile("loaded from (/[^, ]+)").matcher(Mpi.availability().reason());
    assumeTrue(file.find(), "Open MPI is not among the system's libraries");
    Path library = folder.resolve("libmpi_faults.so");
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
    return new MpiFaults(library);
  }

  /**
   * Runs a job of two ranks, on one of which a call fails, and asserts that the job ends and says
   * which function failed.
   *
   * @param number of the call of this function
   * @return false if the rank made fewer calls of it; then the job has succeeded
   */
  public boolean failsAt(String function, int number) throws IOException, InterruptedException {
    MpiRun run = run(function + ":" + number, 1, "fault");
    if (!run.out().contains("<made to fail>")) {
      run.succeeded(2);
      return false;
    }
    assertThat(run.exit()).as(run.out()).isNotZero();
    assertThat(run.out()).contains(function + ": ").doesNotContain("<1: ended>");
    return true;
  }

  /**
   * Runs a job of two ranks, of which one closes early and the other cannot cancel what it waits
   * for, and asserts that the job ends, after half a minute, and says why it was cancelled.
   */
  public void cancellingFails() throws IOException, InterruptedException {
    MpiRun run = run("MPI_Cancel:1", 0, "leave", "close", "1000");
    assertThat(run.exit()).as(run.out()).isNotZero();
    assertThat(run.out())
        .contains("<made to fail>")
        .contains("cannot take its memory back from MPI, and ends the job: rank 1 closed after");
  }

  private MpiRun run(String fault, int rank, String... arguments)
      throws IOException, InterruptedException {
    return MpiRun.of(
        MpiRun.launchers().getFirst(),
        2,
        List.of("-Dmpi.library.path=" + library),
        Map.of("FAULT", fault, "FAULT_RANK", String.valueOf(rank)),
        arguments);
  }
}
