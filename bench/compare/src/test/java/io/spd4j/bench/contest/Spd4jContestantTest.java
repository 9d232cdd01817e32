package io.spd4j.bench.contest;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.Backend;
import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.report.Json;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.StringReader;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class Spd4jContestantTest {
  private static final Shape SHAPE = new Shape("test", List.of(1L, 33L, 5000L), true);

  private static Spd4jContestant setUp(Backend backend, Setup setup) throws Failure {
    Spd4jContestant contestant = new Spd4jContestant(backend);
    contestant.setup(setup);
    Values.fill(contestant, setup);
    return contestant;
  }

  /** Both the comparison of results and the long timing rely on this. */
  @ParameterizedTest
  @CsvSource({"NONE, true", "NONE, false", "ALL, true", "ALL, false"})
  void theSelectionHolds(Select select, boolean anchored) throws Failure {
    Shape shape = new Shape("test", List.of(1L, 33L), anchored);
    StepCase step = new StepCase(shape, Rule.SPD, select, 1);

    Spd4jContestant timed = Spd4jContestant.of(null, step);
    for (int i = 0; i < 500_000; i++) {
      timed.step();
    }
    assertThat(timed.adam().spdReports())
        .hasSize(2)
        .allMatch(report -> report.checked() == 500_000);
    for (ArrayKind kind : List.of(ArrayKind.DATA, ArrayKind.EXP_AVG)) {
      for (int tensor = 0; tensor < 2; tensor++) {
        for (float value : timed.array(kind, tensor).toArray(ValueLayout.JAVA_FLOAT)) {
          assertThat(Math.abs(value)).isBetween(Float.MIN_NORMAL, 100f);
        }
      }
    }
    timed.close();
    Spd4jContestant checked = setUp(Backend.SCALAR, step.checked(Long.MAX_VALUE));
    for (int i = 0; i < 3; i++) {
      checked.step();
    }
    checked.close();
  }

  /** Rounding moves a parameter by more than an update does, but must not undo the selection. */
  @ParameterizedTest
  @CsvSource({
    "NONE, bf16",
    "ALL, bf16",
    "NONE, 8bit",
    "ALL, 8bit",
    "ALL, split",
    "ALL, param=bf16"
  })
  void theSelectionHoldsWithOtherStates(Select select, String state) throws Failure {
    Shape shape = new Shape("test", List.of(33L, 1000L), true);
    StepCase step = new StepCase(shape, Rule.SPD, select, 1, State.of(state));

    for (Setup setup : List.of(step.timed(), step.checked(Long.MAX_VALUE))) {
      Spd4jContestant contestant = setUp(Backend.SCALAR, setup);
      for (int i = 0; i < (setup.step() == 0 ? 3 : 20_000); i++) {
        contestant.step();
      }
      contestant.close();
    }
  }

  /** Most of the values differ, so this also shows that they are spread over the arrays. */
  @ParameterizedTest
  @ValueSource(strings = {"float32", "split", "bf16", "8bit", "grad=bf16"})
  void largeArraysAreFilledToTheEnd(State state) throws Failure {
    Shape shape = new Shape("test", List.of((1L << 18) + 77, 5L), true);
    StepCase step = new StepCase(shape, Rule.SPD, Select.NATURAL, 1);
    try (Spd4jContestant stored = setUp(Backend.SCALAR, step.with(state).timed());
        Spd4jContestant floats = setUp(Backend.SCALAR, step.timed())) {
      for (ArrayKind kind : ArrayKind.values()) {
        for (int tensor = 0; tensor < 2; tensor++) {
          int numel = Math.toIntExact(shape.tensors().get(tensor));
          float[] values = stored.values(kind, tensor, 0, numel);
          float[] expected = floats.values(kind, tensor, 0, numel);
          for (int i = 0; i < numel; i++) {
            float error = state.equals(State.FLOAT32) ? 0 : Math.abs(expected[i]) / 30;
            if (!(Math.abs(values[i] - expected[i]) <= error) || values[i] == 0) {
              throw new AssertionError(kind + " " + i + ": " + values[i] + ", not " + expected[i]);
            }
          }
        }
      }
    }
  }

  @Test
  void aSelectionThatDoesNotHoldIsAnError() throws Failure {
    Setup setup = new StepCase(SHAPE, Rule.SPD, Select.ALL, 1).timed();
    Spd4jContestant contestant = setUp(Backend.SCALAR, setup);
    MemorySegment gradient = contestant.array(ArrayKind.GRADIENT, 1);
    for (int i = 0; i < 33; i++) {
      float g = gradient.getAtIndex(ValueLayout.JAVA_FLOAT, i);
      gradient.setAtIndex(ValueLayout.JAVA_FLOAT, i, -g);
    }
    contestant.step();

    assertThatThrownBy(contestant::close)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("select all does not hold", "tensor 1");
    contestant.close();
  }

  /** Every start value of the checked steps must matter, otherwise it is not compared. */
  @ParameterizedTest
  @EnumSource
  void theDecayIsSeenInTheResults(Rule rule) throws Failure {
    Setup setup = new StepCase(SHAPE, rule, Select.ALL, 1).checked(Long.MAX_VALUE);

    float[] with = threeSteps(setup);
    float[] without = threeSteps(setup.with(Map.of("lambda", 0)));

    double largest = 0;
    for (int i = 0; i < with.length; i++) {
      largest = Math.max(largest, Math.abs(with[i] - without[i]));
    }
    assertThat(largest).isGreaterThan(1e-4);
  }

  private static float[] threeSteps(Setup setup) throws Failure {
    Spd4jContestant contestant = setUp(Backend.SCALAR, setup);
    for (int i = 0; i < 3; i++) {
      contestant.step();
    }
    float[] data = contestant.array(ArrayKind.DATA, 2).toArray(ValueLayout.JAVA_FLOAT);
    contestant.close();
    return data;
  }

  @Test
  void speaksTheProtocol() throws IOException {
    Setup setup = new StepCase(SHAPE, Rule.SPD, Select.ALL, 2).checked(Long.MAX_VALUE);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    String requests =
        String.join(
            "\n",
            "{\"cmd\":\"hello\"}",
            Json.line(setup.json()),
            "{\"cmd\":\"values\",\"tensor\":1,\"from\":30,\"count\":3}",
            "{\"cmd\":\"step\",\"count\":2}",
            "{\"cmd\":\"close\"}",
            "{\"cmd\":\"dance\"}",
            "{\"cmd\":\"exit\"}",
            "{\"cmd\":\"hello\"}");

    Server.serve(
        new Spd4jContestant(Backend.SCALAR),
        new BufferedReader(new StringReader(requests)),
        new PrintStream(out, true, UTF_8));

    List<String> answers = out.toString(UTF_8).lines().toList();
    assertThat(answers).hasSize(6);
    assertThat(tree(answers.get(0)))
        .containsEntry("name", "spd4j-scalar")
        .containsEntry("rules", Stream.of(Rule.values()).map(Rule::toString).toList());
    assertThat(tree(answers.get(1))).isEqualTo(Map.of("ok", true));
    assertThat(tree(answers.get(2))).containsOnlyKeys("data", "exp_avg", "exp_avg_sq");
    assertThat((List<?>) tree(answers.get(2)).get("data")).hasSize(3);
    assertThat((List<?>) tree(answers.get(3)).get("nanos")).hasSize(2);
    assertThat(tree(answers.get(3)).get("allocated")).isInstanceOf(Number.class);
    assertThat(tree(answers.get(4))).isEqualTo(Map.of("ok", true));
    assertThat(tree(answers.get(5))).containsOnlyKeys("error");
  }

  @SuppressWarnings("unchecked")
  private static Map<String, Object> tree(String line) throws IOException {
    return Json.read(line.getBytes(UTF_8), Map.class);
  }
}
