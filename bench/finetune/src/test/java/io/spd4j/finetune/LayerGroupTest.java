package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.NoDecay;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.finetune.minilm.Weight;
import io.spd4j.finetune.minilm.Weights;
import java.lang.foreign.Arena;
import java.util.List;
import org.junit.jupiter.api.Test;

class LayerGroupTest {
  private final Arena arena = Arena.ofAuto();

  private Weight weight(String name, float... values) {
    List<Long> shape = List.of((long) values.length);
    return new Weight(name, shape, arena.allocateFrom(JAVA_FLOAT, values), null);
  }

  @Test
  void theDeviationIsFromTheAnchorOrTheOrigin() {
    List<Weight> weights =
        List.of(weight("encoder.layer.3.a.weight", 3, 5), weight("encoder.layer.3.b.weight", -3));
    List<Parameter> parameters =
        weights.stream().map(w -> Parameter.builder(w.name(), w.data()).build()).toList();
    LayerGroup layer =
        new LayerGroup(
            LayerGroup.layer(3),
            3,
            1,
            ParameterGroup.builder().lr(1).decay(new NoDecay()).parameters(parameters).build(),
            weights,
            new Weights(List.of(weight("encoder.layer.3.a.weight", 1, 4))));

    assertThat(layer.squaredDeviation()).isEqualTo(4 + 1 + 9);
    assertThat(layer.name()).isEqualTo("layer3");
    assertThat(layer.title()).isEqualTo("layer 3");
    assertThat(layer.isHead()).isFalse();
  }

  /** The adapters are B·A = [[4, 5], [8, 10]] + [[-1, 0], [1, 0]] and one whose B is still 0. */
  @Test
  void adaptersDeviateLikeTheWeightsTheyChange() {
    List<Long> square = List.of(2L, 2L);
    String up = ".lora_B.weight";
    Weight a = new Weight("a.lora_A.weight", square, weight("", 4, 5, 1, 0).data(), null);
    Weight b = new Weight("a" + up, square, weight("", 1, -1, 2, 1).data(), null);
    Weight zero = Weight.zeros(arena, "b" + up, square, false);
    LayerGroup layer =
        new LayerGroup(
            LayerGroup.layer(0),
            0,
            1,
            ParameterGroup.builder().build(),
            List.of(a, b, a, zero),
            new Weights(List.of()));

    assertThat(layer.squaredDeviation()).isEqualTo(3 * 3 + 5 * 5 + 9 * 9 + 10 * 10);
  }
}
