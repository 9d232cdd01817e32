package io.spd4j.finetune;

import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.minilm.Classifier;
import io.spd4j.finetune.report.Score;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;

/** Counts the examples that a model classifies correctly, and takes its mean loss. */
final class Evaluation {
  private Evaluation() {}

  /**
   * @param stop asked before each batch; the result is empty once it returns true, or if there are
   *     no examples
   */
  static Optional<Score> score(
      Classifier classifier, List<Example> examples, int batchSize, BooleanSupplier stop) {
    List<Example> sorted = new ArrayList<>(examples); // sorted by length for less padding
    sorted.sort(Comparator.comparingInt(example -> example.tokens().length));
    int correct = 0;
    double loss = 0;
    for (int from = 0; from < sorted.size(); from += batchSize) {
      if (stop.getAsBoolean()) {
        return Optional.empty();
      }
      List<Example> part = sorted.subList(from, Math.min(sorted.size(), from + batchSize));
      int[] predicted = classifier.predict(Tokens.batch(part));
      int[] labels = Tokens.labels(part);
      for (int i = 0; i < predicted.length; i++) {
        correct += predicted[i] == labels[i] ? 1 : 0;
      }
      loss += classifier.loss(labels) * labels.length;
    }
    return sorted.isEmpty()
        ? Optional.empty()
        : Optional.of(new Score(correct, sorted.size(), loss / sorted.size()));
  }
}
