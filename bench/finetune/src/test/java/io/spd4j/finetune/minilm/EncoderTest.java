package io.spd4j.finetune.minilm;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.onednn.OneDnn;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class EncoderTest {
  private static final Batch BATCH =
      Batch.of(List.of(new int[] {1, 7, 3, 7, 2}, new int[] {4}, new int[] {9, 8, 1}), 8);
  private static final int[] LABELS = {0, 1, 1};

  private final Arena arena = Arena.ofConfined();
  private OneDnn dnn;

  @BeforeEach
  void open() {
    dnn = OneDnn.open(2);
  }

  @AfterEach
  void close() {
    dnn.close();
    arena.close();
  }

  private Classifier classifier(Weights weights) {
    return new Classifier(dnn, Tiny.CONFIG, weights, 3, 16, arena);
  }

  private Weights weights(boolean trainable) {
    return Tiny.classifier(arena, Tiny.CONFIG, 2, trainable);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, Integer.MAX_VALUE})
  void whatIsBelowTheLowestLayerKeepsItsGradients(int lowest) {
    Weights whole = weights(true);
    Weights part = weights(true);
    part.all().forEach(weight -> weight.gradient().fill((byte) 1));
    Map<String, List<Float>> before = Tiny.gradients(part);

    double loss = classifier(whole).lossAndGradients(BATCH, LABELS, -1);
    assertThat(classifier(part).lossAndGradients(BATCH, LABELS, lowest)).isEqualTo(loss);

    Map<String, List<Float>> all = Tiny.gradients(whole);
    Tiny.gradients(part)
        .forEach((name, gradient) ->
            assertThat(gradient)
                .as(name)
                .isEqualTo(depth(name) >= Math.min(2, lowest) ? all.get(name) : before.get(name)));
  }

  /**
   * What is called with a layer finds its gradients, and may change them: nobody writes them again.
   */
  @ParameterizedTest
  @ValueSource(ints = {-1, 1, 2})
  void eachLayerIsDoneOnceFromTheHeadDown(int lowest) {
    Weights whole = weights(true);
    Weights told = weights(true);
    classifier(whole).lossAndGradients(BATCH, LABELS, -1);
    Map<String, List<Float>> all = Tiny.gradients(whole);
    List<Integer> layers = new ArrayList<>();

    classifier(told)
        .lossAndGradients(
            BATCH,
            LABELS,
            lowest,
            layer -> {
              layers.add(layer);
              for (Weight weight : told.all()) {
                if (depth(weight.name()) == layer) {
                  assertThat(Tiny.floats(weight.gradient())).isEqualTo(all.get(weight.name()));
                  weight.gradient().fill((byte) 1);
                }
              }
            });

    assertThat(layers).isEqualTo(List.of(2, 1, 0, -1).subList(0, 3 - lowest));
    for (Weight weight : told.all()) {
      byte expected = (byte) (depth(weight.name()) >= lowest ? 1 : 0);
      assertThat(weight.gradient().toArray(JAVA_BYTE)).containsOnly(expected);
    }
  }

  /** -1 trains from the embeddings up, 2 trains the head alone. */
  private static int depth(String name) {
    if (name.startsWith(Classifier.HEAD)) {
      return 2;
    }
    return name.startsWith(Weights.layer(0)) ? 0 : name.startsWith(Weights.layer(1)) ? 1 : -1;
  }

  @Test
  void repeatingGivesTheSameBits() {
    Weights first = weights(true);
    Weights second = weights(true);
    double loss = classifier(first).lossAndGradients(BATCH, LABELS, -1);
    try (OneDnn fresh = OneDnn.open(2)) {
      Classifier again = new Classifier(fresh, Tiny.CONFIG, second, 3, 16, arena);
      for (int i = 0; i < 2; i++) {
        assertThat(again.lossAndGradients(BATCH, LABELS, -1)).isEqualTo(loss);
        assertThat(Tiny.gradients(second)).isEqualTo(Tiny.gradients(first));
      }
    }
  }

  @Test
  void newAdaptersChangeNothing() {
    Weights base = weights(false);
    Weights adapted = base.with(Lora.create(arena, Tiny.CONFIG, 2, random()));
    Map<String, List<Float>> values = Tiny.values(adapted);

    List<Float> logits = Tiny.floats(classifier(base).forward(BATCH));
    Classifier classifier = classifier(adapted);
    assertThat(Tiny.floats(classifier.forward(BATCH))).isEqualTo(logits);

    classifier.lossAndGradients(BATCH, LABELS, -1);
    assertThat(Tiny.values(adapted)).isEqualTo(values);
    Map<String, List<Float>> gradients = Tiny.gradients(adapted);
    assertThat(gradients).hasSize(2 * 4 * 2 + 2);
    gradients.forEach((name, gradient) -> {
      assertThat(name).matches(".*lora_[AB].weight|head.*");
      if (name.contains("lora_A")) {
        assertThat(gradient).as(name).allMatch(g -> g == 0);
      } else {
        assertThat(gradient).as(name).anyMatch(g -> g != 0);
      }
    });
  }

  private static SplittableRandom random() {
    return new SplittableRandom(4);
  }

  @Test
  void predictsTheLargestLogit() {
    Classifier classifier = classifier(weights(false));
    List<Float> logits = Tiny.floats(classifier.forward(BATCH));

    int[] predicted = classifier.predict(BATCH);
    assertThat(predicted).hasSize(3);
    for (int i = 0; i < 3; i++) {
      assertThat(logits.get(2 * i + predicted[i]))
          .isGreaterThan(logits.get(2 * i + 1 - predicted[i]));
    }
  }

  @Test
  void refusesLargeBatchesAndUnknownTokens() {
    Weights weights = weights(false);
    Classifier classifier = new Classifier(dnn, Tiny.CONFIG, weights, 2, 8, arena);

    assertThatIllegalArgumentException()
        .isThrownBy(() -> classifier.forward(BATCH))
        .withMessage("the batch has 3 sequences of 8 tokens, but there is memory for 2 of 8");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> classifier.forward(Batch.of(List.of(new int[9]), 1)))
        .withMessage("the batch has 1 sequences of 9 tokens, but there is memory for 2 of 8");
    for (int id : new int[] {-1, 13}) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> classifier.forward(Batch.of(List.of(new int[] {1, id}), 8)))
          .withMessage("token %d is not in the vocabulary", id);
    }
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Classifier(dnn, Tiny.CONFIG, weights, 2, 17, arena))
        .withMessage("sequences have 17 tokens, but the model has 16 positions");
    assertThatThrownBy(() -> classifier(Tiny.encoder(arena, Tiny.CONFIG, 1)))
        .isInstanceOf(NoSuchElementException.class)
        .hasMessage("there is no tensor head.weight");
  }
}
