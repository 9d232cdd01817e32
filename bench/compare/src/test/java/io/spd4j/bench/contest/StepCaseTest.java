package io.spd4j.bench.contest;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.finetune.cli.Rule;
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
}
