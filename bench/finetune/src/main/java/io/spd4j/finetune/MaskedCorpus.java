package io.spd4j.finetune;

import io.spd4j.finetune.minilm.Batch;
import io.spd4j.finetune.minilm.MaskedText;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Collectors;

/**
 * Text for a model that predicts hidden tokens, in a vocabulary of the most frequent tokens: all
 * texts one after another, cut into sequences of one length.
 */
final class MaskedCorpus {
  /** Stands for every token that is not in the vocabulary. */
  static final int UNKNOWN = 0;

  /** Stands for a hidden token. */
  static final int MASK = 1;

  /** Follows every text. */
  static final int END = 2;

  /** The first id of a token that can be hidden. */
  static final int KNOWN = 3;

  /** BERT hides 15% of the tokens. */
  private static final double HIDDEN = 0.15;

  private final Map<Integer, Integer> ids = new HashMap<>();
  private final int length;

  /**
   * Chooses the vocabulary.
   *
   * @param texts tokens of any ids
   * @param vocabulary the number of tokens, the special ones included
   * @param length tokens of a sequence
   */
  MaskedCorpus(List<int[]> texts, int vocabulary, int length) {
    this.length = length;
    Map<Integer, Long> counts =
        texts.stream()
            .flatMapToInt(Arrays::stream)
            .boxed()
            .collect(Collectors.groupingBy(token -> token, Collectors.counting()));
    counts.keySet().stream()
        .sorted(Comparator.<Integer>comparingLong(counts::get).reversed().thenComparing(t -> t))
        .limit(vocabulary - KNOWN)
        .forEach(token -> ids.put(token, KNOWN + ids.size()));
  }

  /** Returns the number of tokens of a sequence that are hidden. */
  int hidden() {
    return (int) Math.ceil(HIDDEN * length);
  }

  /** Cuts texts into sequences; drops a rest, and sequences with too few known tokens. */
  List<int[]> sequences(List<int[]> texts) {
    List<int[]> sequences = new ArrayList<>();
    int[] sequence = new int[length];
    int filled = 0;
    for (int[] text : texts) {
      for (int i = 0; i <= text.length; i++) {
        sequence[filled++] = i == text.length ? END : ids.getOrDefault(text[i], UNKNOWN);
        if (filled == length) {
          if (Arrays.stream(sequence).filter(token -> token >= KNOWN).count() >= hidden()) {
            sequences.add(sequence.clone());
          }
          filled = 0;
        }
      }
    }
    return sequences;
  }

  /** Hides random known tokens of each sequence. */
  MaskedText hide(List<int[]> sequences, SplittableRandom random) {
    int[] rows = new int[sequences.size() * hidden()];
    int[] targets = new int[rows.length];
    List<int[]> shown = new ArrayList<>();
    for (int count = 0; count < rows.length; ) {
      int begin = shown.size() * length;
      int[] sequence = sequences.get(shown.size()).clone();
      int end = count + hidden();
      while (count < end) {
        int at = random.nextInt(length);
        if (sequence[at] >= KNOWN) {
          rows[count] = begin + at;
          targets[count++] = sequence[at];
          sequence[at] = MASK;
        }
      }
      shown.add(sequence);
    }
    return new MaskedText(Batch.of(shown, 1), rows, targets);
  }
}
