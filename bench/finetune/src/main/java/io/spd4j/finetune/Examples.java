package io.spd4j.finetune;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;

/** An endless sequence of examples: each epoch has every example once, in random order. */
final class Examples<T> {
  private final List<T> examples;
  private final SplittableRandom random;
  private int next;

  /** Copies the examples. */
  Examples(List<T> examples, SplittableRandom random) {
    this.examples = new ArrayList<>(examples);
    this.random = random;
    next = examples.size();
  }

  /** Goes on as if this many examples had been returned. */
  void skip(long count) {
    for (long left = count; left > 0; ) {
      if (next == examples.size()) {
        Collections.shuffle(examples, random);
        next = 0;
      }
      int step = (int) Math.min(left, examples.size() - next);
      next += step;
      left -= step;
    }
  }

  /** Returns the next examples, across the end of an epoch if necessary. */
  List<T> next(int count) {
    List<T> batch = new ArrayList<>();
    while (batch.size() < count) {
      if (next == examples.size()) {
        Collections.shuffle(examples, random);
        next = 0;
      }
      batch.add(examples.get(next++));
    }
    return batch;
  }
}
