package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.report.History;
import io.spd4j.finetune.report.Run;
import io.spd4j.finetune.report.Score;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ChoiceTest {
  private final List<RunSpec> specs = new ArrayList<>();
  private final List<Run> runs = new ArrayList<>();

  private static RunSpec spec(Method method, double lambda, double lr, String data, long seed) {
    return new RunSpec(method, lambda, lr, State.FLOAT32, Variation.of(data), seed);
  }

  /** Adds a trial whose accuracy would lead to another choice. */
  private void trial(RunSpec spec, double loss) {
    Score validation = new Score(loss > 1 ? 9 : 0, 9, loss);
    History history = new History(List.of(), List.of());
    specs.add(spec);
    runs.add(
        new Run(
            spec.setup(), spec.seed(), 0, true, Map.of(), 0, history, null, validation, List.of()));
  }

  @Test
  void takesTheLowestMeanLossOfEachMethodAndData() {
    for (String data : List.of("plain", "noise=0.1")) {
      boolean plain = data.equals("plain");
      trial(spec(Method.ADAMW, 0.01, 1e-5, data, 7), plain ? 2 : 1);
      trial(spec(Method.ADAMW, 0.01, 3e-5, data, 7), plain ? 1 : 2);
      trial(spec(Method.SPD, 0.5, 1e-5, data, 7), 1);
      trial(spec(Method.SPD, 1, 1e-5, data, 7), 2);
      trial(spec(Method.SPD, 0.5, 1e-5, data, 8), plain ? 3.5 : 2.5);
      trial(spec(Method.SPD, 1, 1e-5, data, 8), 2);
    }

    assertThat(Choice.runs(specs, runs, List.of(1L, 2L)))
        .containsExactly(
            spec(Method.ADAMW, 0.01, 3e-5, "plain", 1),
            spec(Method.SPD, 1, 1e-5, "plain", 1),
            spec(Method.ADAMW, 0.01, 1e-5, "noise=0.1", 1),
            spec(Method.SPD, 0.5, 1e-5, "noise=0.1", 1),
            spec(Method.ADAMW, 0.01, 3e-5, "plain", 2),
            spec(Method.SPD, 1, 1e-5, "plain", 2),
            spec(Method.ADAMW, 0.01, 1e-5, "noise=0.1", 2),
            spec(Method.SPD, 0.5, 1e-5, "noise=0.1", 2));
  }

  @Test
  void aLossThatIsNotFiniteIsTheHighest() {
    trial(spec(Method.SPD, 0.5, 1e-5, "plain", 7), Double.NaN);
    trial(spec(Method.SPD, 1, 1e-5, "plain", 7), 1e9);
    trial(spec(Method.SPD, 2, 1e-5, "plain", 7), Double.NEGATIVE_INFINITY);

    assertThat(Choice.runs(specs, runs, List.of(1L)))
        .containsExactly(spec(Method.SPD, 1, 1e-5, "plain", 1));
  }
}
