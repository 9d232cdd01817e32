package io.spd4j.finetune.minilm;

import java.util.Arrays;
import java.util.List;

/**
 * Token sequences, padded to one length.
 *
 * @param ids [size, length], row-major; padding is 0
 * @param lengths tokens of each sequence, 1 to length
 * @param length of every row
 */
public record Batch(int[] ids, int[] lengths, int length) {
  /**
   * Pads sequences to the longest of them, rounded up so that there are few shapes.
   *
   * @param sequences each at least one token
   * @param multiple what the length is rounded up to
   */
  public static Batch of(List<int[]> sequences, int multiple) {
    int longest = sequences.stream().mapToInt(s -> s.length).max().orElseThrow();
    int length = Math.ceilDiv(longest, multiple) * multiple;
    int[] ids = new int[sequences.size() * length];
    int[] lengths = new int[sequences.size()];
    for (int i = 0; i < lengths.length; i++) {
      int[] sequence = sequences.get(i);
      lengths[i] = sequence.length;
      System.arraycopy(sequence, 0, ids, i * length, sequence.length);
    }
    return new Batch(ids, lengths, length);
  }

  /** How many sequences there are. */
  public int size() {
    return lengths.length;
  }

  /** How many rows of tokens there are, padding included. */
  int rows() {
    return ids.length;
  }

  @Override
  public String toString() {
    return "Batch[" + size() + "x" + length + ", lengths=" + Arrays.toString(lengths) + "]";
  }
}
