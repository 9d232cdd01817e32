package io.spd4j.bench.contest;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StepCaseTest {
  /** Bytes moved per parameter, and bytes of its arrays. */
  @ParameterizedTest
  @CsvSource({
    "one:10, ADAMW, NONE, 28, 16",
    "one:10, L2SP, NONE, 32, 20",
    "one:10, SPD, NONE, 32, 20",
    "one:10, SPD, ALL, 44, 20",
    "lora, ADAMW, NONE, 28, 16",
    "lora, SPD, NONE, 28, 16",
    "lora, SPD, ALL, 36, 16",
  })
  void countsBytes(String shape, Rule rule, Select select, int traffic, int footprint) {
    StepCase step = new StepCase(Shape.parse(shape), rule, select, 2);

    assertThat(step.bytes()).isEqualTo(traffic * step.shape().numel());
    assertThat(step.footprint()).isEqualTo(footprint * step.shape().numel());
    assertThat(step.arrays()).isEqualTo(footprint / 4);
    assertThat(step.timed().arrays()).hasSize(step.arrays());
  }

  /**
   * The same with other states; 8-bit moments of 10 elements are 10 codes, 2 unused bytes, a scale.
   */
  @ParameterizedTest
  @CsvSource({
    "one:10, SPD, ALL, split, 440, 200",
    "one:10, ADAMW, NONE, split, 280, 160",
    "one:10, ADAMW, NONE, bf16, 140, 80",
    "one:10, SPD, NONE, bf16, 160, 100",
    "one:10, SPD, ALL, bf16, 220, 100",
    "one:64, ADAMW, NONE, 8bit, 912, 520",
    "one:64, SPD, NONE, 8bit, 1040, 648",
    "one:64, SPD, ALL, 8bit, 1680, 648",
    "one:10, ADAMW, NONE, 8bit, 164, 92",
    "many:2x10, ADAMW, NONE, 8bit, 328, 184",
    "one:10, SPD, ALL, param=bf16+anchor=bf16, 320, 160",
    "one:10, SPD, ALL, grad=bf16, 420, 180",
    "one:10, ADAMW, NONE, anchor=bf16+moments=bf16, 200, 120",
  })
  void countsBytesOfStates(
      String shape, Rule rule, Select select, String state, int traffic, int footprint) {
    StepCase step = new StepCase(Shape.parse(shape), rule, select, 2, State.of(state));

    assertThat(step.bytes()).isEqualTo(traffic);
    assertThat(step.footprint()).isEqualTo(footprint);
    assertThat(step.toString())
        .contains(rule == Rule.SPD ? "selected, " + state : "AdamW, " + state);
  }
}
