package io.spd4j.finetune;

import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.minilm.Batch;
import java.util.List;

/** Pads examples to batches of few lengths. */
final class Tokens {
  /** Padded lengths are multiples of this. */
  private static final int MULTIPLE = 16;

  private Tokens() {}

  static int padded(int length) {
    return Math.ceilDiv(length, MULTIPLE) * MULTIPLE;
  }

  static Batch batch(List<Example> examples) {
    return sequences(examples.stream().map(Example::tokens).toList());
  }

  static Batch sequences(List<int[]> sequences) {
    return Batch.of(sequences, MULTIPLE);
  }

  static int[] labels(List<Example> examples) {
    return examples.stream().mapToInt(Example::label).toArray();
  }
}
