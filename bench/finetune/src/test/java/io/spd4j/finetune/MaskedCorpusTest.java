package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.finetune.minilm.MaskedText;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class MaskedCorpusTest {
  private static final int END = MaskedCorpus.END;
  private static final int UNKNOWN = MaskedCorpus.UNKNOWN;

  /** 70 three times, 50 and 60 twice, 90 once. */
  private static final List<int[]> TEXTS =
      List.of(new int[] {70, 60, 70}, new int[] {}, new int[] {50, 90, 50, 60, 70});

  @Test
  void theVocabularyIsTheMostFrequentTokens() {
    MaskedCorpus corpus = new MaskedCorpus(TEXTS, 6, 3);

    assertThat(corpus.sequences(TEXTS))
        .containsExactly(new int[] {3, 5, 3}, new int[] {END, END, 4}, new int[] {UNKNOWN, 4, 5});
    assertThat(new MaskedCorpus(TEXTS, 5, 3).sequences(TEXTS).getFirst())
        .containsExactly(3, UNKNOWN, 3);
  }

  @Test
  void sequencesWithTooFewKnownTokensAreDropped() {
    MaskedCorpus corpus = new MaskedCorpus(TEXTS, 4, 2);

    assertThat(corpus.sequences(TEXTS))
        .containsExactly(new int[] {3, UNKNOWN}, new int[] {3, END}, new int[] {UNKNOWN, 3});
  }

  @Test
  void hidesKnownTokensOfEachSequence() {
    SplittableRandom random = new SplittableRandom(1);
    List<int[]> texts = List.of(random.ints(2000, 0, 60).toArray());
    MaskedCorpus corpus = new MaskedCorpus(texts, 53, 20);
    assertThat(corpus.hidden()).isEqualTo(3);
    List<int[]> sequences = corpus.sequences(texts);
    List<int[]> copies = sequences.stream().map(int[]::clone).toList();

    MaskedText text = corpus.hide(sequences, new SplittableRandom(2));

    assertThat(sequences).usingRecursiveComparison().isEqualTo(copies);
    assertThat(text.batch().size()).isEqualTo(sequences.size()).isEqualTo(100);
    assertThat(text.batch().lengths()).containsOnly(20);
    assertThat(text.rows()).doesNotHaveDuplicates().hasSize(300);
    int[] ids = text.batch().ids();
    for (int i = 0; i < 300; i++) {
      int row = text.rows()[i];
      assertThat(row / 20).isEqualTo(i / 3);
      assertThat(ids[row]).isEqualTo(MaskedCorpus.MASK);
      assertThat(text.targets()[i]).isGreaterThanOrEqualTo(MaskedCorpus.KNOWN);
      ids[row] = text.targets()[i];
    }
    assertThat(ids).containsExactly(copies.stream().flatMapToInt(Arrays::stream).toArray());
    assertThat(corpus.hide(sequences, new SplittableRandom(2)).rows()).isEqualTo(text.rows());
    assertThat(corpus.hide(sequences, new SplittableRandom(3)).rows()).isNotEqualTo(text.rows());
  }
}
