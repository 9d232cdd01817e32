package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.finetune.report.History;
import io.spd4j.finetune.report.Run;
import io.spd4j.finetune.report.Score;
import io.spd4j.finetune.report.Setup;
import java.io.IOException;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class JobStateTest {
  private static History history() {
    History history = new History(List.of("embeddings", "layer 0"), List.of("a", "b", "c"));
    history.deviation(List.of(0.0, -0.0));
    BitSet selected = new BitSet();
    selected.set(0);
    selected.set(2);
    history.add(new History.Step(0.1 + 0.2, Math.PI, 1e-300, 12.5, 0.1, 1000, 24, selected));
    history.add(
        new History.Step(
            Double.NaN, Double.POSITIVE_INFINITY, Double.MIN_VALUE, 1, 1, 0, 0, new BitSet()));
    history.deviation(List.of(1.0000000000000002, Double.NEGATIVE_INFINITY));
    history.stop("layer 0");
    return history;
  }

  static JobState state() {
    Run run =
        new Run(
            new Setup("SPD", 0.3, 5e-5, "8bit", ""),
            -7,
            4,
            false,
            Map.of("near", new Score(3, 4, 0.25)),
            1 / 3.0,
            history(),
            null,
            null,
            List.of());
    return new JobState(
        Map.of("--lr", "0.1", "--backend", "null"),
        List.of(run),
        new Trainer.State(
            history(),
            new Freezing.State(Set.of("layer0"), Map.of("layer1", 1e-17), Map.of("x", 2)),
            List.of(0.1f, -0f, Float.MIN_VALUE, Float.NaN, Float.NEGATIVE_INFINITY)));
  }

  @Test
  void keepsEveryBit() throws IOException {
    JobState state = state();
    JobState read = JobState.parse(state.toJson());
    assertThat(read.options()).isEqualTo(state.options());
    assertThat(read.current().freezing()).isEqualTo(state.current().freezing());
    assertThat(read.current().probedHead()).isEqualTo(state.current().probedHead());
    assertSame(read.current().history());
    assertSame(read.finished().getFirst().history());
    assertThat(read.finished())
        .usingRecursiveComparison()
        .ignoringFields("history")
        .isEqualTo(state.finished());
    assertThat(JobState.parse(read.toJson()).toJson()).isEqualTo(state.toJson());
  }

  private static void assertSame(History read) {
    History expected = history();
    assertThat(read.steps()).isEqualTo(expected.steps()); // records compare doubles by their bits
    assertThat(read.deviations()).isEqualTo(expected.deviations());
    assertThat(read.stopped()).isEqualTo(expected.stopped());
    assertThat(read.layers()).isEqualTo(expected.layers());
    assertThat(read.tensors()).isEqualTo(expected.tensors());
  }

  @Test
  void refusesAnythingElse() throws IOException {
    List<String> others =
        List.of(
            "",
            "{}",
            "[1]",
            "null",
            "{\"options\":{},\"finished\":[]}",
            new String(state().toJson()) + "{");
    for (String json : others) {
      assertThatThrownBy(() -> JobState.parse(json.getBytes())).isInstanceOf(IOException.class);
    }
  }
}
