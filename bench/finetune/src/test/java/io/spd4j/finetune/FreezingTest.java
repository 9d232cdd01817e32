package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.NoDecay;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.finetune.minilm.Weights;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class FreezingTest {
  private final LayerGroup embeddings = layer("embeddings", -1);
  private final LayerGroup layer0 = layer("layer0", 0);
  private final LayerGroup head = layer("head", 1);
  private final List<LayerGroup> layers = List.of(embeddings, layer0, head);

  private static LayerGroup layer(String name, int depth) {
    Parameter parameter =
        Parameter.builder(name + ".weight", Arena.ofAuto().allocate(4, 4)).build();
    return new LayerGroup(
        name,
        depth,
        1,
        ParameterGroup.builder().lr(1).decay(new NoDecay()).parameters(List.of(parameter)).build(),
        List.of(),
        new Weights(List.of()));
  }

  private List<Boolean> frozen() {
    return layers.stream().map(layer -> layer.group().frozen()).toList();
  }

  @Test
  void layersThawAtTheirStep() {
    Freezing freezing =
        new Freezing(
            layers, Map.of("embeddings", 4, "layer0", 3, "head", 2), null, new Freezing.State());

    freezing.apply(1);
    assertThat(frozen()).containsExactly(true, true, true);
    assertThat(freezing.lowest()).isEqualTo(Integer.MAX_VALUE);
    freezing.apply(2);
    assertThat(frozen()).containsExactly(true, true, false);
    assertThat(freezing.lowest()).isEqualTo(1);
    freezing.apply(3);
    assertThat(frozen()).containsExactly(true, false, false);
    assertThat(freezing.lowest()).isZero();
    freezing.apply(4);
    assertThat(frozen()).containsExactly(false, false, false);
    assertThat(freezing.lowest()).isEqualTo(-1);
  }

  @Test
  void aLayerStopsAfterSoManyRecordsInARowWithoutGrowth() {
    Freezing freezing = new Freezing(layers, Map.of(), 2, new Freezing.State());
    freezing.apply(1);

    record(freezing, 1.0, 1.004, 1.006, 1.007); // idle, grown, idle
    assertThat(freezing.state().stopped()).isEmpty();
    freezing.record(layer0, 0.5);
    assertThat(freezing.state().stopped()).containsExactly("layer0");

    freezing.apply(2);
    assertThat(frozen()).containsExactly(false, true, false);
    assertThat(freezing.lowest()).isEqualTo(-1);
    freezing.record(layer0, 9);
    freezing.apply(3);
    assertThat(layer0.group().frozen()).as("for good").isTrue();
  }

  private void record(Freezing freezing, double... deviations) {
    for (double deviation : deviations) {
      freezing.record(layer0, deviation);
    }
  }

  @Test
  void theHeadIsNeverStopped() {
    Freezing freezing = new Freezing(layers, Map.of(), 1, new Freezing.State());
    freezing.apply(1);
    layers.forEach(layer -> freezing.record(layer, 0));

    assertThat(freezing.state().stopped()).containsExactly("embeddings", "layer0");
    freezing.apply(2);
    assertThat(freezing.lowest()).isEqualTo(1);
  }

  @Test
  void aLayerThatIsNotYetThawedIsNotStopped() {
    Freezing freezing = new Freezing(layers, Map.of("layer0", 3), 1, new Freezing.State());
    freezing.apply(1);
    record(freezing, 0, 0, 0);

    assertThat(freezing.state().stopped()).isEmpty();
  }

  @Test
  void withoutPatienceNothingIsStopped() {
    Freezing freezing = new Freezing(layers, Map.of(), null, new Freezing.State());
    freezing.apply(1);
    record(freezing, 0, 0, 0, 0);

    assertThat(freezing.state().stopped()).isEmpty();
  }
}
