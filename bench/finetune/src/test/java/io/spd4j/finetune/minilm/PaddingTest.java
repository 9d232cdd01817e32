package io.spd4j.finetune.minilm;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.spd4j.onednn.OneDnn;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Checks that padding and the other sequences of a batch do not change a sequence's result. */
class PaddingTest {
  private static final Config CONFIG = new Config(50, 64, 32, 4, 48, 2);
  private static final String WORDS = "embeddings.word_embeddings.weight";

  /**
   * Not exact: oneDNN's order of additions depends on the shape and the CPU. A sum of 48 products
   * may be off by 6e-7, and a few dozen sums follow each other.
   */
  private static final double TOLERANCE = 1e-5;

  private final Arena arena = Arena.ofConfined();
  private final SplittableRandom random = new SplittableRandom(3);

  /** Returns words from the lower half of the vocabulary. */
  private final List<int[]> sequences =
      IntStream.of(7, 1, 16, 12).mapToObj(length -> random.ints(length, 0, 25).toArray()).toList();

  private final int[] labels = {0, 1, 1, 0};
  private OneDnn dnn;
  private Weights weights;
  private Classifier classifier;

  @BeforeEach
  void open() {
    dnn = OneDnn.open(2);
    weights = Tiny.classifier(arena, CONFIG, 1, true);
    classifier = new Classifier(dnn, CONFIG, weights, 4, 64, arena);
  }

  @AfterEach
  void close() {
    dnn.close();
    arena.close();
  }

  @ParameterizedTest
  @ValueSource(ints = {32, 48, 64})
  void morePaddingChangesNothing(int length) {
    double loss = classifier.lossAndGradients(Batch.of(sequences, 16), labels, -1);
    Map<String, List<Float>> gradients = Tiny.gradients(weights);
    List<Float> pooled = pooled(sequences, 16);

    assertClose(pooled(sequences, length), pooled);
    assertThat(classifier.lossAndGradients(Batch.of(sequences, length), labels, -1))
        .isCloseTo(loss, within(TOLERANCE));
    Tiny.gradients(weights).forEach((name, values) -> assertClose(values, gradients.get(name)));
  }

  @Test
  void theGradientsOfABatchAreTheMeanOfItsSequences() {
    classifier.lossAndGradients(Batch.of(sequences, 16), labels, -1);
    Map<String, List<Float>> together = Tiny.gradients(weights);
    List<Float> pooled = pooled(sequences, 16);

    for (int i = 0; i < 4; i++) {
      int hidden = CONFIG.hidden();
      assertClose(
          pooled(List.of(sequences.get(i)), 1), pooled.subList(i * hidden, (i + 1) * hidden));
      classifier.lossAndGradients(
          Batch.of(List.of(sequences.get(i)), 1), new int[] {labels[i]}, -1);
      Tiny.gradients(weights)
          .forEach((name, alone) ->
              together.computeIfPresent(name, (key, rest) -> minusQuarter(rest, alone)));
    }
    together.values().forEach(rest -> assertThat(rest).allMatch(r -> Math.abs(r) < TOLERANCE));
  }

  private static List<Float> minusQuarter(List<Float> all, List<Float> one) {
    return IntStream.range(0, all.size()).mapToObj(i -> all.get(i) - one.get(i) / 4).toList();
  }

  @Test
  void paddingIsNotRead() {
    Batch clean = Batch.of(sequences, 32);
    int[] ids = clean.ids().clone();
    for (int i = 0; i < ids.length; i++) {
      if (i % 32 >= clean.lengths()[i / 32]) {
        ids[i] = random.nextInt(1, 50);
      }
    }
    Batch garbage = new Batch(ids, clean.lengths(), 32);

    double loss = classifier.lossAndGradients(clean, labels, -1);
    Map<String, List<Float>> gradients = Tiny.gradients(weights);
    assertThat(classifier.lossAndGradients(garbage, labels, -1)).isEqualTo(loss);
    assertThat(Tiny.gradients(weights)).isEqualTo(gradients);
  }

  @Test
  void wordsThatTheBatchLacksHaveNoGradient() {
    classifier.lossAndGradients(Batch.of(sequences, 16), labels, -1);
    assertThat(wordsWithGradient()).isEqualTo(words(sequences));

    List<int[]> other = List.of(new int[] {30, 49, 0}, new int[] {31});
    classifier.lossAndGradients(Batch.of(other, 16), new int[] {1, 1}, -1);
    assertThat(wordsWithGradient()).containsExactly(0, 30, 31, 49);

    classifier.lossAndGradients(Batch.of(sequences, 16), labels, -1);
    assertThat(wordsWithGradient()).isEqualTo(words(sequences));
  }

  private static List<Integer> words(List<int[]> sequences) {
    return sequences.stream().flatMapToInt(Arrays::stream).distinct().sorted().boxed().toList();
  }

  private List<Integer> wordsWithGradient() {
    MemorySegment gradient = weights.get(WORDS).gradient();
    return IntStream.range(0, CONFIG.vocabulary())
        .filter(word ->
            IntStream.range(0, CONFIG.hidden())
                .anyMatch(i -> gradient.getAtIndex(JAVA_FLOAT, word * CONFIG.hidden() + i) != 0))
        .boxed()
        .toList();
  }

  private List<Float> pooled(List<int[]> some, int multiple) {
    MemorySegment pooled = arena.allocate(JAVA_FLOAT, (long) some.size() * CONFIG.hidden());
    new Encoder(dnn, CONFIG, weights, 4, 64, arena).forward(Batch.of(some, multiple), pooled);
    return Tiny.floats(pooled);
  }

  private static void assertClose(List<Float> actual, List<Float> expected) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < actual.size(); i++) {
      assertThat((double) actual.get(i)).isCloseTo(expected.get(i), within(TOLERANCE));
    }
  }
}
