package io.spd4j.finetune.minilm;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.spd4j.onednn.OneDnn;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.DoubleSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Compares every gradient of tiny models with finite differences of the loss. */
class FiniteDifferencesTest {
  private static final Batch BATCH =
      Batch.of(List.of(new int[] {1, 7, 3, 7, 2}, new int[] {4}, new int[] {9, 8, 1}), 2);
  private static final int[] LABELS = {0, 1, 1};

  /** The number of an encoder's weights. */
  private static final int ENCODER =
      13 * 8 + 16 * 8 + 2 * 8 + 16 + 2 * (4 * 72 + 96 + 12 + 96 + 8 + 32);

  /** Large enough for float32, with a small enough fourth power. */
  private static final double STEP = 0.01;

  /** The error of float32 in a difference that is 0. */
  private static final double TOLERANCE = 1e-4;

  @ParameterizedTest
  @CsvSource({"true, false", "false, true", "true, true"})
  void agree(boolean trainable, boolean adapted) {
    try (Arena arena = Arena.ofConfined();
        OneDnn dnn = OneDnn.open(1)) {
      Weights weights = Tiny.classifier(arena, Tiny.CONFIG, 5, trainable);
      if (adapted) {
        weights = weights.with(Tiny.adapters(arena, Tiny.CONFIG, 6));
      }
      Classifier classifier = new Classifier(dnn, Tiny.CONFIG, weights, 3, 16, arena);
      double loss = classifier.lossAndGradients(BATCH, LABELS, -1);
      assertThat(loss).isCloseTo(loss(classifier), within(1e-7));

      int adapters = 2 * 4 * 2 * 16;
      assertThat(compared(weights, () -> loss(classifier)))
          .isEqualTo(18 + (trainable ? ENCODER : 0) + (adapted ? adapters : 0));
    }
  }

  @Test
  void agreeInAModelThatPredictsHiddenTokens() {
    try (Arena arena = Arena.ofConfined();
        OneDnn dnn = OneDnn.open(1)) {
      Weights weights = Tiny.maskedModel(arena, Tiny.CONFIG, 7);
      MaskedLanguageModel model =
          new MaskedLanguageModel(dnn, Tiny.CONFIG, weights, 3, 16, 5, arena);
      MaskedText text = new MaskedText(BATCH, new int[] {0, 12, 6, 3}, new int[] {5, 12, 3, 0});
      double loss = model.lossAndGradients(text);
      assertThat(loss).isEqualTo(model.loss(text)).isGreaterThan(0.5);

      assertThat(compared(weights, () -> model.loss(text))).isEqualTo(ENCODER + 13 * 8 + 13);
    }
  }

  /** Returns the number of gradients that were compared. */
  private static int compared(Weights weights, DoubleSupplier loss) {
    int compared = 0;
    for (Weight weight : weights.all()) {
      if (weight.gradient() == null) {
        continue;
      }
      double largest = 0;
      for (long i = 0; i < weight.numel(); i++) {
        double difference = difference(loss, weight.data(), i);
        assertThat((double) weight.gradient().getAtIndex(JAVA_FLOAT, i))
            .as("%s %d", weight.name(), i)
            .isCloseTo(difference, within(TOLERANCE + 1e-3 * Math.abs(difference)));
        largest = Math.max(largest, Math.abs(difference));
        compared++;
      }
      if (!weight.name().endsWith("attention.self.key.bias")) { // its gradient is 0
        assertThat(largest).as(weight.name()).isGreaterThan(20 * TOLERANCE);
      }
    }
    return compared;
  }

  /** Returns a difference quotient of the fourth order. */
  private static double difference(DoubleSupplier loss, MemorySegment data, long i) {
    float value = data.getAtIndex(JAVA_FLOAT, i);
    double difference = (8 * central(loss, data, i, STEP) - central(loss, data, i, 2 * STEP)) / 12;
    data.setAtIndex(JAVA_FLOAT, i, value);
    return difference / STEP;
  }

  private static double central(DoubleSupplier loss, MemorySegment data, long i, double step) {
    float value = data.getAtIndex(JAVA_FLOAT, i);
    data.setAtIndex(JAVA_FLOAT, i, (float) (value + step));
    double after = loss.getAsDouble();
    data.setAtIndex(JAVA_FLOAT, i, (float) (value - step));
    double before = loss.getAsDouble();
    data.setAtIndex(JAVA_FLOAT, i, value);
    return after - before;
  }

  /** Returns the mean cross-entropy, computed from the logits without a backward pass. */
  private static double loss(Classifier classifier) {
    MemorySegment logits = classifier.forward(BATCH);
    double sum = 0;
    for (int row = 0; row < LABELS.length; row++) {
      double right = logits.getAtIndex(JAVA_FLOAT, row * 2 + LABELS[row]);
      double wrong = logits.getAtIndex(JAVA_FLOAT, row * 2 + 1 - LABELS[row]);
      sum += Math.log1p(Math.exp(wrong - right));
    }
    return sum / LABELS.length;
  }
}
