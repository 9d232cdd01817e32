package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.NoDecay;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.finetune.minilm.Weight;
import java.lang.foreign.Arena;
import java.util.List;
import org.junit.jupiter.api.Test;

class LayerGroupTest {
  @Test
  void theDeviationIsFromTheAnchorOrTheOrigin() {
    Arena arena = Arena.ofAuto();
    List<Parameter> parameters =
        List.of(
            Parameter.builder("encoder.layer.3.a.weight", arena.allocateFrom(JAVA_FLOAT, 3f, 5f))
                .anchor(arena.allocateFrom(JAVA_FLOAT, 1f, 4f))
                .build(),
            Parameter.builder("encoder.layer.3.b.weight", arena.allocateFrom(JAVA_FLOAT, -3f))
                .build());
    LayerGroup layer =
        new LayerGroup(
            LayerGroup.layer(3),
            3,
            1,
            ParameterGroup.builder().lr(1).decay(new NoDecay()).parameters(parameters).build(),
            List.of());

    assertThat(layer.squaredDeviation()).isEqualTo(4 + 1 + 9);
    assertThat(layer.name()).isEqualTo("layer3");
    assertThat(layer.title()).isEqualTo("layer 3");
    assertThat(layer.isHead()).isFalse();
  }

  /** The adapters are B·A = [[4, 5], [8, 10]] + [[-1, 0], [1, 0]] and one whose B is still 0. */
  @Test
  void adaptersDeviateLikeTheWeightsTheyChange() {
    Arena arena = Arena.ofAuto();
    Weight a = new Weight("a", List.of(2L, 2L), arena.allocateFrom(JAVA_FLOAT, 4, 5, 1, 0), null);
    Weight b = new Weight("b", List.of(2L, 2L), arena.allocateFrom(JAVA_FLOAT, 1, -1, 2, 1), null);
    Weight zero = Weight.zeros(arena, "zero", List.of(2L, 2L), false);
    LayerGroup layer =
        new LayerGroup(
            LayerGroup.layer(0), 0, 1, ParameterGroup.builder().build(), List.of(a, b, a, zero));

    assertThat(layer.squaredDeviation()).isEqualTo(3 * 3 + 5 * 5 + 9 * 9 + 10 * 10);
  }
}
