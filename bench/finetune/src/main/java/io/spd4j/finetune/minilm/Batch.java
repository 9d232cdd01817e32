package io.spd4j.finetune.minilm;

import java.util.Arrays;
import java.util.List;

/**
 * Token sequences, padded to one length.
 *
 * @param ids [size, length], row-major; padding is 0
 * @param lengths number of tokens of each sequence, 1 to length
 * @param length the length of every row
 */
public record Batch(int[] ids, int[] lengths, int length) {
  /**
   * Pads sequences to the length of the longest, rounded up so that few shapes occur.
   *
   * @param sequences each with at least one token
   * @param multiple the length is rounded up to a multiple of this
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

  /** Returns the number of sequences. */
  public int size() {
    return lengths.length;
  }

  /** Returns the number of token rows, including padding. */
  int rows() {
    return ids.length;
  }

  /** Returns the number of tokens of all sequences, without padding. */
  public int tokens() {
    return Arrays.stream(lengths).sum();
  }

  /** Returns how much padding was added to the tokens. */
  public int padding() {
    return ids.length - tokens();
  }

  @Override
  public String toString() {
    return "Batch[" + size() + "x" + length + ", lengths=" + Arrays.toString(lengths) + "]";
  }
}
