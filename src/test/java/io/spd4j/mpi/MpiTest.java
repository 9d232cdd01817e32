package io.spd4j.mpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.spd4j.FreshJvm;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Runs jobs of {@link RankMain} under each mpirun that this machine has. */
class MpiTest {
  private static final String MPI_EXCEPTION = MpiException.class.getName() + ": ";

  /** Returns each launcher with 1, 2 and 4 ranks. */
  static List<Arguments> jobs() {
    List<Arguments> jobs = new ArrayList<>();
    for (String launcher : MpiRun.launchers()) {
      for (int ranks : new int[] {1, 2, 4}) {
        jobs.add(Arguments.of(launcher, ranks));
      }
    }
    return jobs;
  }

  static List<Arguments> launchers() {
    return MpiRun.launchers().stream().map(Arguments::of).toList();
  }

  @TempDir private Path folder;
  private String first;

  @BeforeEach
  void findLauncher() {
    first = MpiRun.launchers().getFirst();
  }

  private static MpiRun run(String launcher, int ranks, String... arguments) throws Exception {
    return MpiRun.of(launcher, ranks, List.of(), arguments);
  }

  @ParameterizedTest
  @MethodSource("jobs")
  void everyCollectiveMovesTheRightBytes(String launcher, int ranks) throws Exception {
    run(launcher, ranks, "collectives").succeeded(ranks);
  }

  /** Without it the last, small piece of a large array arrives before the others. */
  @ParameterizedTest
  @MethodSource("launchers")
  void everyCollectiveMovesTheRightBytesWithoutSingleCopy(String launcher) throws Exception {
    Map<String, String> settings = Map.of("OMPI_MCA_btl_vader_single_copy_mechanism", "none");
    MpiRun.of(launcher, 4, List.of(), settings, "collectives").succeeded(4);
  }

  @ParameterizedTest
  @MethodSource("launchers")
  void theJvmKeepsItsSignals(String launcher) throws Exception {
    run(launcher, 2, "signals").succeeded(2);
  }

  @Test
  void aClosedMpiIsRefused() throws Exception {
    MpiRun run = run(first, 2, "closed");
    run.succeeded(2);
    assertThat(run.out()).contains("refused: this Mpi is closed", "refused: Mpi.init was called");
  }

  @ParameterizedTest
  @MethodSource("earlyLeavers")
  void aRankThatLeavesEarlyEndsTheOthers(String launcher, int ranks, String how, int bytes)
      throws Exception {
    MpiRun run = run(launcher, ranks, "leave", how, String.valueOf(bytes));
    int last = ranks - 1;
    String completed = how.equals("pending") ? "[34]" : "3"; // the pending one, if it was fast
    for (int rank = 0; rank < last; rank++) {
      assertThat(run.said(rank))
          .matches(
              "%srank %d closed after collective %s, so collective [456] \\(\\w+\\) cannot be completed"
                  .formatted(MPI_EXCEPTION, last, completed));
    }
    if (how.equals("close")) {
      assertThat(run.said(last)).isEqualTo("ended");
    } else {
      assertThat(run.failed(last)).isEqualTo("java.lang.IllegalStateException: something else");
    }
    assertThat(run.exit()).as(run.out()).isNotZero();
  }

  /** Small messages are sent at once, large ones when the receiver is ready. */
  static List<Arguments> earlyLeavers() {
    List<Arguments> all = new ArrayList<>();
    for (String launcher : MpiRun.launchers()) {
      all.add(Arguments.of(launcher, 2, "throw", 1000));
      all.add(Arguments.of(launcher, 2, "throw", 5_000_000));
    }
    String first = MpiRun.launchers().getFirst();
    all.add(Arguments.of(first, 2, "close", 1000));
    all.add(Arguments.of(first, 2, "pending", 5_000_000));
    all.add(Arguments.of(first, 4, "throw", 5_000_000));
    all.add(Arguments.of(first, 4, "pending", 1000));
    return all;
  }

  @ParameterizedTest
  @CsvSource({"2, rank 1 differs", "4, 'ranks 1, 3 differ'"})
  void ranksThatDifferAreNamedOnEveryRank(int ranks, String who) throws Exception {
    MpiRun run = run(first, ranks, "differ");
    for (int rank = 0; rank < ranks; rank++) {
      assertThat(run.failed(rank)).isEqualTo(MPI_EXCEPTION + who + " from rank 0 in the settings");
    }
  }

  @Test
  void optimizersThatDifferAreRefusedOnEveryRank() throws Exception {
    MpiRun run = run(first, 2, "optimizers");
    for (int rank = 0; rank < 2; rank++) {
      assertThat(run.failed(rank))
          .isEqualTo(
              MPI_EXCEPTION
                  + "rank 1 differs from rank 0 in the settings of the groups or the seed");
    }
    assertThat(IllegalStateException.class).isAssignableFrom(MpiException.class);
  }

  @ParameterizedTest
  @MethodSource("jobs")
  void announcedGradientsAreSentOrRefused(String launcher, int ranks) throws Exception {
    MpiRun run = run(launcher, ranks, "announce");
    run.succeeded(ranks);
    if (ranks > 1) {
      assertThat(run.out())
          .contains(
              "rank %d and rank 0 are about to take different steps: they differ in which"
                      .formatted(ranks - 1)
                  + " gradients they announced");
    }
  }

  @ParameterizedTest
  @MethodSource("killed")
  void aKilledRankEndsTheJob(String launcher, int ranks) throws Exception {
    MpiRun run = run(launcher, ranks, "kill");
    assertThat(run.exit()).as(run.out()).isNotZero();
    assertThat(run.out()).containsIgnoringCase("killed").doesNotContain(": ended>");
  }

  static List<Arguments> killed() {
    List<Arguments> all = new ArrayList<>(launchers().size());
    MpiRun.launchers().forEach(launcher -> all.add(Arguments.of(launcher, 2)));
    all.add(Arguments.of(MpiRun.launchers().getFirst(), 4));
    return all;
  }

  @ParameterizedTest
  @MethodSource("launchers")
  void aRankThatExitsWithoutCloseEndsTheJob(String launcher) throws Exception {
    MpiRun run = run(launcher, 2, "exit", "3");
    assertThat(run.exit()).as(run.out()).isNotZero();
    assertThat(run.out()).doesNotContain(": ended>");
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 4})
  void countsThatDifferAreAnError(int ranks) throws Exception {
    MpiRun run = run(first, ranks, "counts");
    assertThat(run.failed(0))
        .isEqualTo(
            MPI_EXCEPTION
                + "collective 2 (allToAll), what rank %d sends: 990 bytes arrived, but this rank"
                    .formatted(ranks - 1)
                + " expects 1000: the ranks call different collectives, or their counts differ");
    assertThat(run.failed(ranks - 1))
        .startsWith(
            MPI_EXCEPTION
                + "rank 0 failed after collective 1 (what it prints says why), so collective ");
  }

  @Test
  void differentCollectivesAreAnError() throws Exception {
    MpiRun run = run(first, 2, "kinds");
    assertThat(run.said(0))
        .startsWith(MPI_EXCEPTION + "collective 2 (gather) waits for bytes that a rank never sent");
    assertThat(run.exit()).isNotZero();
  }

  @ParameterizedTest
  @ValueSource(strings = {"await", "close", "stay"})
  void memoryThatIsGoneEndsTheJob(String how) throws Exception {
    MpiRun run = run(first, 2, "arena", how);
    String message =
        "the arena of collective 3 (broadcast) was closed before it was complete: rank 1 ends the job";
    assertThat(run.exit()).as(run.out()).isNotZero();
    assertThat(run.out())
        .contains((how.equals("stay") ? "spd4j: " : "java.lang.IllegalStateException: ") + message)
        .doesNotContain(": ended>");
  }

  @Test
  void theLauncherOfAnotherMpiIsNoticed() throws Exception {
    List<String> launchers = MpiRun.launchers();
    assumeTrue(launchers.size() == 2, "only one MPI is installed");
    Matcher file = Pattern.compile("loaded from (/[^, ]+)").matcher(Mpi.availability().reason());
    assertThat(file.find()).isTrue();
    String flag = "-Dmpi.library.path=" + file.group(1);
    MpiRun run = MpiRun.of(launchers.getLast(), 2, List.of(flag), "signals");
    assertThat(run.exit()).isNotZero();
    assertThat(run.out()).contains("the launcher started 2 processes (PMI_SIZE), but Open MPI v");
  }

  @Test
  void withoutALauncherAProcessIsAlone() throws Exception {
    assertThat(FreshJvm.run(folder, List.of(), Alone.class)).contains("<0: ended>");
  }

  /** A job of one rank that nobody launched. */
  static final class Alone {
    public static void main(String[] args) throws Exception {
      RankMain.main(new String[] {"collectives"});
    }
  }
}
