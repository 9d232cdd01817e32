package io.spd4j.torture;

import io.spd4j.mpi.MpiCollectives;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Random collectives in jobs of several ranks: each byte arrives where it should. */
class MpiCollectivesTest {
  private static final int COLLECTIVES = 100;

  private static MpiCollectives jobs;

  @BeforeAll
  static void find() {
    jobs = MpiCollectives.find();
  }

  @Test
  void everyByteArrives() {
    Rounds.run(
        MpiCollectivesTest.class,
        1,
        (random, rounds) -> {
          jobs.run(random, COLLECTIVES);
          rounds.count("collectives, each by all ranks", COLLECTIVES);
        });
  }
}
