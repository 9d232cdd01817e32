package io.spd4j.mpi;

import java.io.IOException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * Jobs of {@link RandomCollectives}.
 *
 * @param launchers of each MPI that is installed
 */
public record MpiCollectives(List<String> launchers) {
  /** Finds the launchers; skips the test if there is none. */
  public static MpiCollectives find() {
    return new MpiCollectives(MpiRun.launchers());
  }

  /** Runs a job of 2 to 5 ranks, half of the jobs without the single copy of Open MPI 4. */
  public void run(SplittableRandom random, int number) throws IOException, InterruptedException {
    int ranks = 2 + random.nextInt(4);
    Map<String, String> settings = new HashMap<>();
    if (random.nextBoolean()) { // as it must be in many containers
      settings.put("OMPI_MCA_btl_vader_single_copy_mechanism", "none");
    }
    String launcher = launchers.get(random.nextInt(launchers.size()));
    String seed = String.valueOf(random.nextLong());
    MpiRun.of(launcher, ranks, List.of(), settings, "random", seed, String.valueOf(number))
        .succeeded(ranks);
  }
}
