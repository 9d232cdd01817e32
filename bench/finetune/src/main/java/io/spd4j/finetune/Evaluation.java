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
   * Scores a model, of which every process has a copy: each takes every so many batches, and the
   * result is that of one process.
   *
   * @param stop asked before each batch, by all processes alike; the result is empty once it
   *     returns true, or if there are no examples
   */
  static Optional<Score> score(
      Classifier classifier,
      List<Example> examples,
      int batchSize,
      BooleanSupplier stop,
      Processes processes) {
    List<Example> sorted = new ArrayList<>(examples); // sorted by length for less padding
    sorted.sort(Comparator.comparingInt(example -> example.tokens().length));
    int correct = 0;
    double loss = 0;
    int together = batchSize * processes.size();
    for (int from = 0; from < sorted.size(); from += together) {
      if (stop.getAsBoolean()) {
        return Optional.empty();
      }
      int own = Math.min(sorted.size(), from + processes.rank() * batchSize);
      List<Example> part = sorted.subList(own, Math.min(sorted.size(), own + batchSize));
      double[] scores = processes.gather(score(classifier, part));
      for (int i = 0; i < scores.length; i += 2) {
        correct += (int) scores[i];
        loss += scores[i + 1];
      }
    }
    return sorted.isEmpty()
        ? Optional.empty()
        : Optional.of(new Score(correct, sorted.size(), loss / sorted.size()));
  }

  /** Returns how many examples were classified correctly, and the sum of their losses. */
  private static double[] score(Classifier classifier, List<Example> part) {
    if (part.isEmpty()) {
      return new double[2];
    }
    int[] predicted = classifier.predict(Tokens.batch(part));
    int[] labels = Tokens.labels(part);
    int correct = 0;
    for (int i = 0; i < predicted.length; i++) {
      correct += predicted[i] == labels[i] ? 1 : 0;
    }
    return new double[] {correct, classifier.loss(labels) * labels.length};
  }
}
