package io.spd4j.finetune;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.ToIntFunction;

/**
 * Puts examples of similar length into a batch, so that little is padding: as HuggingFace's {@code
 * group_by_length}, but with the batches in random order.
 *
 * @param batch examples of a batch
 * @param length an example's length
 */
record LengthGroups<T>(int batch, ToIntFunction<T> length) {
  /** Number of batches that are sorted together: more leave less padding, and less chance. */
  static final int WINDOW = 50;

  /**
   * Reorders an epoch that was shuffled. The examples that share a batch with the epoch before or
   * after it stay where they are.
   *
   * @param missing number of examples at the start that complete a batch of the epoch before
   */
  void reorder(List<T> epoch, int missing, SplittableRandom random) {
    int whole = Math.max(0, epoch.size() - missing) / batch * batch;
    for (int from = 0; from < whole; from += WINDOW * batch) {
      int to = Math.min(whole, from + WINDOW * batch);
      List<T> window = epoch.subList(missing + from, missing + to);
      window.sort(Comparator.comparingInt(length));
      List<List<T>> batches = new ArrayList<>();
      for (int i = 0; i < window.size(); i += batch) {
        batches.add(List.copyOf(window.subList(i, i + batch)));
      }
      Collections.shuffle(batches, random);
      for (int i = 0; i < window.size(); i++) {
        window.set(i, batches.get(i / batch).get(i % batch));
      }
    }
  }
}
