package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.minilm.Tiny;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.finetune.report.History;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Trains a tiny encoder with optimizer states other than float32. */
class StateTest {
  private final Arena arena = Arena.ofShared();
  private final Weights pretrained = Tiny.encoder(arena, Tiny.CONFIG, 8);

  @AfterEach
  void close() {
    arena.close();
  }

  private record Outcome(Map<String, List<Float>> weights, List<List<Object>> numbers) {}

  private Outcome outcome(TrainingOptions options, Rule rule, State state) {
    RunSpec spec = Fixtures.spec(options, rule, rule.lambda(), state, 1);
    try (Model model = Fixtures.model(options, pretrained, spec)) {
      History history = Fixtures.trainer(options, model).train(() -> false, step -> {});
      List<List<Object>> numbers = new ArrayList<>();
      for (History.Step s : history.steps()) {
        numbers.add(List.of(s.loss(), s.gradientNorm(), s.learningRate(), s.selected()));
      }
      history.deviations().forEach(d -> numbers.add(List.of(d)));
      numbers.add(List.of(history.stopped()));
      return new Outcome(Tiny.values(model.weights()), numbers);
    }
  }

  @ParameterizedTest
  @EnumSource
  void splitHasTheBitsOfFloat32(Rule rule) {
    TrainingOptions options = Fixtures.tiny("--steps", "40", "--record", "2", "--threads", "2");

    assertThat(outcome(options, rule, State.SPLIT))
        .isEqualTo(outcome(options, rule, State.FLOAT32));
  }

  @ParameterizedTest
  @CsvSource({"--lora 2", "--early-stop 1 --record 1 --unfreeze layer0=8", "--schedule constant"})
  void splitHasTheBitsOfFloat32WithOtherOptions(String more) {
    TrainingOptions options = Fixtures.tiny(("--steps 40 " + more).split(" "));

    assertThat(outcome(options, Rule.SPD, State.SPLIT))
        .isEqualTo(outcome(options, Rule.SPD, State.FLOAT32));
  }

  @ParameterizedTest
  @CsvSource({
    "ADAMW, bf16,",
    "SPD, bf16,",
    "SPD, bf16, 4",
    "ADAMW, 8bit,",
    "SPD, 8bit,",
    "SPD, 8bit, 4",
    "SPD, param=split+grad=bf16+anchor=bf16+moments=bf16,",
  })
  void smallStatesLearn(Rule rule, State state, String lora) {
    String arguments = "--steps 400" + (lora == null ? "" : " --lr 1e-2 --lora " + lora);
    TrainingOptions options = Fixtures.tiny(arguments.split(" "));
    Outcome outcome = outcome(options, rule, state);

    assertThat(mean(outcome, 380, 400)).isLessThan(0.6 * mean(outcome, 0, 20));
    assertThat(outcome(options, rule, state)).as("the same bits").isEqualTo(outcome);
    if (state.equals(State.BF16) && lora == null) {
      outcome.weights.values().stream()
          .flatMap(List::stream)
          .forEach(v -> assertThat(Float.floatToRawIntBits(v) & 0xffff).isZero());
    }
  }

  private static double mean(Outcome outcome, int from, int to) {
    return outcome.numbers.subList(from, to).stream()
        .mapToDouble(numbers -> (Double) numbers.getFirst())
        .average()
        .orElseThrow();
  }
}
