package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import org.junit.jupiter.api.Test;

public class StateHostileTest {
  /** What Jazzer calls. */
  public static void fuzzerTestOneInput(byte[] json) {
    try {
      JobState state = JobState.parse(json);
      assertThat(JobState.parse(state.toJson()).toJson()).isEqualTo(state.toJson());
    } catch (IOException e) {
      // as documented
    }
  }

  @Test
  void anyStateOfAJobIsReadOrRefused() throws Exception {
    HostileFiles.feed(
        StateHostileTest.class,
        JobStateTest.state().toJson(),
        StateHostileTest::fuzzerTestOneInput);
  }
}
