package io.spd4j.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine.TypeConversionException;

class ShapeTest {
  @ParameterizedTest
  @CsvSource({
    "vit-b16, 152, 86567656, true",
    "minilm, 103, 22713216, true",
    "lora, 98, 1358824, false",
    "one:4096, 1, 4096, true",
    "one:100M, 1, 100000000, true",
    "many:3x5, 3, 15, true",
    "many:2x7K, 2, 14000, true",
  })
  void hasTheModelsTensors(String name, int tensors, long numel, boolean anchored) {
    Shape shape = Shape.parse(name);

    assertThat(shape.tensors()).hasSize(tensors);
    assertThat(shape.numel()).isEqualTo(numel);
    assertThat(shape.anchored()).isEqualTo(anchored);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "vit", "one:", "one:0", "one:-1", "many:0x5", "many:5x0", "many:5"})
  void refusesOthers(String name) {
    assertThatThrownBy(() -> Shape.parse(name))
        .isInstanceOf(TypeConversionException.class)
        .hasMessageContaining("'" + name + "'");
  }
}
