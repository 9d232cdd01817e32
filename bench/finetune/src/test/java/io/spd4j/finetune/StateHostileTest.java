package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import org.junit.jupiter.api.Test;

class StateHostileTest {
  @Test
  void aChangedStateOfAJobIsReadOrRefused() throws IOException {
    HostileBytes.feed(
        StateHostileTest.class,
        JobStateTest.state().toJson(),
        json -> {
          JobState state;
          try {
            state = JobState.parse(json);
          } catch (IOException e) {
            return; // as documented
          }
          assertThat(JobState.parse(state.toJson()).toJson()).isEqualTo(state.toJson());
        });
  }
}
