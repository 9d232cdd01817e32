package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.minilm.Classifier;
import io.spd4j.finetune.minilm.Tiny;
import io.spd4j.finetune.minilm.Weight;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.finetune.report.History;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Tests LP-FT's two parts, and the models of WiSE-FT between them. */
class LpFtTest {
  private static final int PROBING = 4;

  private final Arena arena = Arena.ofShared();
  private final Weights pretrained = Tiny.encoder(arena, Tiny.CONFIG, 8);
  private final Map<String, List<Float>> anchor = Tiny.values(pretrained);
  private final TrainingOptions options =
      Fixtures.tiny("--steps", "10", "--probe-share", "0.4", "--warmup", "0.5");

  @AfterEach
  void close() {
    arena.close();
  }

  private Model model() {
    RunSpec spec = new RunSpec(Method.LP_FT, 0.01, 3e-3, State.FLOAT32, Variation.PLAIN, 1);
    return Fixtures.model(options, pretrained, spec);
  }

  private static List<Float> head(Model model) {
    Map<String, List<Float>> values = Tiny.values(model.weights());
    List<Float> head = new ArrayList<>(values.get(Classifier.HEAD + "weight"));
    head.addAll(values.get(Classifier.HEAD + "bias"));
    return head;
  }

  @Test
  void trainsTheHeadThenEverything() {
    try (Model model = model()) {
      Trainer trainer = Fixtures.trainer(options, model);
      List<Double> rates = new ArrayList<>();
      List<List<Float>> heads = new ArrayList<>(List.of(head(model)));
      History history =
          trainer.train(
              () -> false,
              step -> {
                rates.add(model.layers().getLast().group().lr() / options.headLr);
                heads.add(head(model));
                boolean probing = rates.size() <= PROBING;
                for (Weight weight : model.weights().all()) {
                  if (pretrained.has(weight.name()) && !weight.name().endsWith("key.bias")) {
                    List<Float> values = Tiny.values(model.weights()).get(weight.name());
                    assertThat(values.equals(anchor.get(weight.name()))).isEqualTo(probing);
                    if (probing) { // no backward pass through the encoder
                      assertThat(weight.gradient().toArray(JAVA_BYTE)).containsOnly(0);
                    }
                  }
                }
                assertThat(trainer.state().probedHead())
                    .isEqualTo(rates.size() < PROBING ? List.of() : heads.get(PROBING));
              });

      assertThat(heads).doesNotHaveDuplicates();
      double third = 1 / 3.0;
      assertThat(rates)
          .containsExactly(0.5, 1.0, 1.0, 0.5, third, 2 / 3.0, 1.0, 1.0, 2 / 3.0, third);
      assertThat(history.steps())
          .extracting(History.Step::learningRate)
          .containsExactly(
              0.0, 0.0, 0.0, 0.0, 1e-3, 3e-3 * (2 / 3.0), 3e-3, 3e-3, 3e-3 * (2 / 3.0), 1e-3);
    }
  }

  @Test
  void interpolatesEveryWeight() {
    try (Model model = model()) {
      Trainer trainer = Fixtures.trainer(options, model);
      trainer.train(() -> false, step -> {});
      List<Float> probed = trainer.state().probedHead();
      Map<String, List<Float>> end = Tiny.values(model.weights());
      List<Float> endOfHead = head(model);
      try (WiseFt wise = new WiseFt(pretrained, probed, model.weights())) {
        for (double alpha : new double[] {0.3, 0, 1}) {
          wise.interpolate(alpha);
          Tiny.values(model.weights())
              .forEach((name, values) -> {
                if (pretrained.has(name)) {
                  assertThat(values).isEqualTo(between(anchor.get(name), end.get(name), alpha));
                }
              });
          assertThat(head(model)).isEqualTo(between(probed, endOfHead, alpha));
          double deviation =
              model.layers().stream()
                  .filter(layer -> !layer.isHead())
                  .mapToDouble(LayerGroup::squaredDeviation)
                  .sum();
          assertThat(deviation > 0).isEqualTo(alpha > 0);
        }
      }
      assertThat(Tiny.values(model.weights())).isEqualTo(end);
    }
  }

  private static List<Float> between(List<Float> from, List<Float> to, double alpha) {
    if (alpha == 0 || alpha == 1) {
      return alpha == 0 ? from : to;
    }
    List<Float> values = new ArrayList<>();
    for (int i = 0; i < from.size(); i++) {
      float first = (float) (1 - alpha) * from.get(i);
      float second = (float) alpha * to.get(i);
      assertThat((double) first + second)
          .isCloseTo((1 - alpha) * from.get(i) + alpha * to.get(i), within(1e-6));
      values.add(first + second);
    }
    return values;
  }
}
