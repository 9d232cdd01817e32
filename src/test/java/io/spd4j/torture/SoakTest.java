package io.spd4j.torture;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.spd4j.FreshJvm;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Memory, threads and open files stay as they are, however many optimizers come and go. */
class SoakTest {
  /** Enough for a leak of one optimizer's moments to be seen. */
  private static final int USUAL = 150;

  /** Enough for a leak of one page of each optimizer. */
  private static final int LONG = 20_000;

  private static final int STEPS_EACH = 23;

  @TempDir private Path folder;

  @Test
  void nothingIsLeftBehind() {
    assumeTrue(Resources.areKnown(), "there is no /proc");
    int optimizers = Rounds.isLong() ? LONG : USUAL;
    Rounds.run(
        SoakTest.class,
        1,
        (random, rounds) -> {
          List<String> flags =
              List.of(
                  "--add-modules=jdk.incubator.vector",
                  "-Xms96m",
                  "-Xmx96m",
                  "-XX:+AlwaysPreTouch",
                  "-XX:+UseSerialGC",
                  "-Dsoak.seed=" + random.nextLong(),
                  "-Dsoak.optimizers=" + optimizers);
          String out = FreshJvm.run(folder, flags, Soaking.class);
          assertThat(out).contains("from Resources");
          rounds.count("optimizers", optimizers + optimizers / 2);
          rounds.count("steps", STEPS_EACH * (optimizers + optimizers / 2L));
        });
  }
}
