package io.spd4j.mpi;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** When a call of MPI fails on a rank, it says which, and no rank hangs. */
class MpiFaultTest {
  @TempDir private static Path folder;
  private static MpiFaults faults;

  @BeforeAll
  static void compile() throws Exception {
    faults = MpiFaults.compile(folder);
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
    assertThat(faults.failsAt(fault.split(":")[0], Integer.parseInt(fault.split(":")[1])))
        .as("a call was made to fail")
        .isTrue();
  }
}
