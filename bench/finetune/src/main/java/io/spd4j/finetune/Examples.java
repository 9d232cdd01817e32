package io.spd4j.finetune;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;

/** An endless sequence of examples: each epoch has every example once, in random order. */
final class Examples<T> {
  private final List<T> examples;
  private final SplittableRandom random;

  /** Null if the order is random alone. */
  private final LengthGroups<T> groups;

  private int next;

  /** Number of examples in all epochs before this one. */
  private long before;

  /** Copies the examples. */
  Examples(List<T> examples, SplittableRandom random) {
    this(examples, random, null);
  }

  /**
   * Copies the examples.
   *
   * @param groups the batches that are drawn; null to draw any number of examples
   */
  Examples(List<T> examples, SplittableRandom random, LengthGroups<T> groups) {
    this.examples = new ArrayList<>(examples);
    this.random = random;
    this.groups = groups;
    next = examples.size();
    before = -next;
  }

  /** Goes on as if this many examples had been returned. */
  void skip(long count) {
    for (long left = count; left > 0; ) {
      beginEpochAtEnd();
      int step = (int) Math.min(left, examples.size() - next);
      next += step;
      left -= step;
    }
  }

  /** Returns the next examples, across the end of an epoch if necessary. */
  List<T> next(int count) {
    List<T> batch = new ArrayList<>();
    while (batch.size() < count) {
      beginEpochAtEnd();
      batch.add(examples.get(next++));
    }
    return batch;
  }

  private void beginEpochAtEnd() {
    if (next < examples.size()) {
      return;
    }
    before += next;
    next = 0;
    Collections.shuffle(examples, random);
    if (groups != null) {
      groups.reorder(examples, (int) Math.floorMod(-before, (long) groups.batch()), random);
    }
  }
}
