package io.spd4j.bench.finetune;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.NoDecay;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
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
            ParameterGroup.builder().lr(1).decay(new NoDecay()).parameters(parameters).build());

    assertThat(layer.squaredDeviation()).isEqualTo(4 + 1 + 9);
    assertThat(layer.name()).isEqualTo("layer3");
    assertThat(layer.title()).isEqualTo("layer 3");
    assertThat(layer.isHead()).isFalse();
  }
}
