package io.spd4j.bench.compare;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.bench.compare.Competitor.Kind;
import io.spd4j.bench.contest.Setup;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.Rule;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Drives shell scripts that pretend to be competitors. */
class CompetitorProcessTest {
  private static final String HELLO =
      "read l; echo '{\"name\":\"x\",\"version\":\"1\",\"rules\":[\"adamw\",\"spd\"],\"only\":{\"lambda\":0}}';";
  private static final Setup SETUP =
      new StepCase(Shape.parse("one:10"), Rule.SPD, Select.ALL, 2).checked(Long.MAX_VALUE);

  private static CompetitorProcess start(String script) throws UnableException {
    return hello(List.of("sh", "-c", script));
  }

  private static CompetitorProcess hello(List<String> command) throws UnableException {
    CompetitorProcess process =
        CompetitorProcess.start(new Competitor("x", Kind.PEER, false, command));
    try {
      process.hello();
    } catch (UnableException e) {
      process.close();
      throw e;
    }
    return process;
  }

  @Test
  void readsACompetitorsIdentity() throws UnableException {
    try (CompetitorProcess process = start("echo 'a library says hello';" + HELLO)) {
      assertThat(process.version()).isEqualTo("1");
      assertThat(process.rules()).containsExactly(Rule.ADAMW, Rule.SPD);
      assertThat(process.possible(SETUP)).isEqualTo(SETUP.with(Map.of("lambda", 0)));
      assertThat(process.possible(SETUP).lambda()).isZero();
    }
  }

  @Test
  void answersAreRead() throws UnableException {
    String answers =
        "read l; echo '{\"nanos\":[10,20]}';"
            + "read l; echo '{\"nanos\":[30],\"allocated\":64}';"
            + "read l; echo '{\"data\":[1,-0.5],\"exp_avg\":[0.0618857443,2],\"exp_avg_sq\":[1e-7,3]}'";
    try (CompetitorProcess process = start(HELLO + answers)) {
      CompetitorProcess.Steps two = process.step(2);
      assertThat(two.nanos()).containsExactly(10, 20);
      assertThat(two.allocated()).isNull();
      assertThat(process.step(1).allocated()).isEqualTo(64);
      assertThat(process.values(0, 0, 2))
          .containsExactly(
              new float[] {1, -0.5f}, new float[] {0.0618857443f, 2}, new float[] {1e-7f, 3});
    }
  }

  @Test
  void continuesAfterARefusedRequest() throws UnableException {
    String answers =
        "read l; echo '{\"skip\":\"there is not enough memory\"}';"
            + "read l; echo '{\"error\":\"index out of range\"}';"
            + "read l; echo '{\"ok\":true}'";
    try (CompetitorProcess process = start(HELLO + answers)) {
      assertThatThrownBy(() -> process.setup(SETUP))
          .isInstanceOf(UnableException.class)
          .hasMessage("there is not enough memory");
      assertThatThrownBy(() -> process.setup(SETUP))
          .isInstanceOf(UnableException.class)
          .hasMessage("failed: index out of range");
      process.setup(SETUP);
    }
  }

  @Test
  void saysWhyACompetitorIsMissing() {
    assertThatThrownBy(() -> start("echo 'a trace' >&2; echo 'No module named torch' >&2; exit 1"))
        .isInstanceOf(UnableException.class)
        .hasMessage("No module named torch");
    assertThatThrownBy(() -> start("exit 1"))
        .isInstanceOf(UnableException.class)
        .hasMessage("it ended without a message");
    assertThatThrownBy(() -> hello(List.of("/no/such/program")))
        .isInstanceOf(UnableException.class)
        .hasMessageContaining("/no/such/program");
  }

  @Test
  void onceItHasEndedEveryQuestionFails() throws UnableException {
    try (CompetitorProcess process = start(HELLO + "read l; echo 'killed' >&2")) {
      for (int i = 0; i < 2; i++) {
        assertThatThrownBy(() -> process.step(1))
            .isInstanceOf(UnableException.class)
            .hasMessage("killed");
      }
    }
  }

  @Test
  void failsOnALineThatIsNotJson() throws UnableException {
    try (CompetitorProcess process = start(HELLO + "read l; echo '{\"nanos\":['")) {
      assertThatThrownBy(() -> process.step(1)).isInstanceOf(UnableException.class);
    }
  }
}
