package io.spd4j.torture;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.mpi.MpiFaults;
import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Each call of MPI fails once on a rank: the job ends and says which. Takes minutes. */
@Tag("sweep")
class MpiFaultsTest {
  @TempDir private static Path folder;
  private static MpiFaults faults;

  /** Of one function. MPI_Test is called as often as it takes. */
  private static final int MOST = 100;

  private static int calls;

  @BeforeAll
  static void compile() throws Exception {
    faults = MpiFaults.compile(folder);
  }

  @AfterAll
  static void report() {
    Rounds.report(MpiFaultsTest.class, "calls of MPI failed", calls);
  }

  @Test
  void theJobEndsIfCancellingFails() throws IOException, InterruptedException {
    faults.cancellingFails();
    calls++;
  }

  /** Not MPI_Cancel, which is called only once a job has failed. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "MPI_Initialized",
        "MPI_Init_thread",
        "MPI_Comm_set_errhandler",
        "MPI_Comm_rank",
        "MPI_Comm_size",
        "MPI_Comm_dup",
        "MPI_Isend",
        "MPI_Irecv",
        "MPI_Test",
        "MPI_Get_count",
        "MPI_Finalize"
      })
  void theJobEnds(String function) throws IOException, InterruptedException {
    int number = 0;
    while (number < MOST && faults.failsAt(function, number + 1)) {
      number++;
    }
    assertThat(number).as("failed calls").isPositive();
    assertThat(number < MOST || function.equals("MPI_Test")).as("each call has failed").isTrue();
    calls += number;
  }
}
