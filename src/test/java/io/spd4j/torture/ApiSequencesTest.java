package io.spd4j.torture;

import io.spd4j.Backend;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Random sequences of calls, right and wrong ones. A small model says what is refused and with
 * which exception; a refusal changes nothing; what is accepted gives the same bits on every
 * backend.
 */
class ApiSequencesTest {
  private static final int CALLS = 300;

  @TempDir private Path folder;
  private final List<Backend> onCpu = Subject.onCpu();

  @Test
  void theModelKnowsWhatIsRefusedAndAllBackendsAgree() {
    boolean cuda = Subject.isCudaEmulated();
    Rounds.run(
        ApiSequencesTest.class,
        20,
        (random, rounds) -> {
          boolean onDevice = random.nextInt(8) == 0 && cuda;
          round(random, rounds, onDevice ? List.of(Backend.SCALAR, Backend.CUDA) : onCpu);
        });
  }

  private void round(SplittableRandom random, Rounds rounds, List<Backend> subjects) {
    ApiWorld world = new ApiWorld(subjects);
    ApiCalls calls = new ApiCalls(random, world, folder);
    for (int i = 0; i < CALLS; i++) {
      calls.next();
      world.tidy();
    }
    world.close();
    rounds.count("optimizer calls", world.calls);
    rounds.count("refused calls", world.refused);
  }
}
