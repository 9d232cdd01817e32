package io.spd4j.finetune.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.ElementType;
import io.spd4j.MomentType;
import io.spd4j.finetune.report.Json;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StateNameTest {
  @ParameterizedTest
  @CsvSource({
    "float32, float32",
    "split, split",
    "bf16, bf16",
    "8bit, 8bit",
    "8Bit, 8bit",
    "param=split, split",
    "grad=bf16+moments=BF16+param=bf16+anchor=bf16, bf16",
    "param=float32, float32",
    "anchor=bf16+grad=float32, anchor=bf16",
    "moments=8bit+anchor=bf16+grad=bf16+param=split, 8bit",
    "moments=8bit+anchor=bf16+param=split, param=split+anchor=bf16+moments=8bit",
    "param=bf16+grad=bf16, param=bf16+grad=bf16",
  })
  void aStateHasOneName(String text, String name) throws Exception {
    State state = State.of(text);

    assertThat(state).hasToString(name).isEqualTo(State.of(name));
    assertThat(Json.line(state)).isEqualTo('"' + name + '"');
    byte[] json = Json.line(state).getBytes(StandardCharsets.UTF_8);
    assertThat(Json.read(json, State.class)).isEqualTo(state);
  }

  @Test
  void partsAreWhatTheySay() {
    assertThat(State.of("param=split+grad=bf16+moments=8bit"))
        .isEqualTo(
            new State(
                ElementType.BFLOAT16,
                true,
                ElementType.BFLOAT16,
                ElementType.FLOAT32,
                MomentType.BLOCKWISE_8BIT));
    assertThat(State.of("anchor=bf16+param=bf16+moments=bf16"))
        .isEqualTo(
            new State(
                ElementType.BFLOAT16,
                false,
                ElementType.FLOAT32,
                ElementType.BFLOAT16,
                MomentType.BFLOAT16));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "4bit | '4bit' is neither float32, split, bf16, 8bit nor PART=TYPE+PART=TYPE…",
        "split+grad=bf16 | 'split+grad=bf16' is neither float32, split, bf16, 8bit nor "
            + "PART=TYPE+PART=TYPE…",
        "params=bf16 | 'params' is not a part: param, grad, anchor, moments",
        "param=8bit | param cannot be '8bit': one of float32, split, bf16",
        "grad=split | grad cannot be 'split': one of float32, bf16",
        "anchor=8bit | anchor cannot be '8bit': one of float32, bf16",
        "moments=split | moments cannot be 'split': one of float32, bf16, 8bit",
        "moments=bf16+grad=bf16+moments=8bit | 'moments' is given twice",
        "grad= | grad cannot be '': one of float32, bf16",
      })
  void anUnknownNameIsRefused(String text, String message) {
    assertThatThrownBy(() -> State.of(text)).hasMessage(message);
  }
}
