package io.spd4j.torture;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.spd4j.mpi.MpiFaults;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Any call of MPI fails on a rank: the job ends and says which. */
class MpiFaultsTest {
  /** The functions that a job calls, and about how often; MPI_Test goes on while it waits. */
  private static final Map<String, Integer> CALLS =
      Map.ofEntries(
          Map.entry("MPI_Initialized", 1),
          Map.entry("MPI_Init_thread", 1),
          Map.entry("MPI_Comm_set_errhandler", 3),
          Map.entry("MPI_Comm_rank", 2),
          Map.entry("MPI_Comm_size", 2),
          Map.entry("MPI_Comm_dup", 2),
          Map.entry("MPI_Isend", 20),
          Map.entry("MPI_Irecv", 20),
          Map.entry("MPI_Test", 60),
          Map.entry("MPI_Get_count", 20),
          Map.entry("MPI_Finalize", 1));

  @TempDir private Path folder;

  @Test
  void theJobEnds() throws Exception {
    assumeTrue(Rounds.isLong(), "MpiFaultTest has some of them");
    MpiFaults faults = MpiFaults.compile(folder);
    Rounds.run(
        MpiFaultsTest.class,
        1,
        (random, rounds) -> {
          List<String> functions = List.copyOf(new TreeSet<>(CALLS.keySet()));
          String function = functions.get(random.nextInt(functions.size()));
          int number = 1 + random.nextInt(CALLS.get(function));
          boolean failed = faults.failsAt(function, number);
          rounds.count("failed calls of MPI", failed ? 1 : 0);
        });
  }
}
