package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.finetune.data.Example;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class ExamplesTest {
  @Test
  void everyEpochHasEachExampleOnceInAnotherOrder() {
    List<Example> all = Fixtures.examples(10, 1);
    Examples<Example> examples = new Examples<>(all, new SplittableRandom(3));
    List<Example> drawn = new ArrayList<>();
    for (int size : new int[] {4, 4, 7, 1, 14}) {
      List<Example> batch = examples.next(size);
      assertThat(batch).hasSize(size);
      drawn.addAll(batch);
    }

    for (int epoch = 0; epoch < 3; epoch++) {
      assertThat(drawn.subList(epoch * 10, epoch * 10 + 10))
          .containsExactlyInAnyOrderElementsOf(all);
    }
    assertThat(drawn.subList(0, 10)).isNotEqualTo(all).isNotEqualTo(drawn.subList(10, 20));
    assertThat(new Examples<>(all, new SplittableRandom(3)).next(30)).isEqualTo(drawn);
    assertThat(new Examples<>(all, new SplittableRandom(4)).next(30)).isNotEqualTo(drawn);
  }

  @Test
  void skippingIsLikeDrawing() {
    List<Example> all = Fixtures.examples(10, 1);
    for (int skipped : new int[] {0, 1, 9, 10, 11, 20, 35}) {
      Examples<Example> drawn = new Examples<>(all, new SplittableRandom(3));
      drawn.next(skipped);
      Examples<Example> examples = new Examples<>(all, new SplittableRandom(3));
      examples.skip(skipped);
      assertThat(examples.next(25)).as("after %d", skipped).isEqualTo(drawn.next(25));
    }
  }

  private static Examples<Example> grouped(List<Example> all, int batch) {
    return new Examples<>(
        all,
        new SplittableRandom(3),
        new LengthGroups<>(batch, example -> example.tokens().length));
  }

  private static List<Integer> lengths(List<Example> examples) {
    return examples.stream().map(example -> example.tokens().length).toList();
  }

  @Test
  void everyGroupedEpochHasEachExampleOnceToo() {
    int batch = 4;
    int count = 2 * LengthGroups.WINDOW * batch + 101; // a third window, and 1 example too many
    List<Example> all = Fixtures.examples(count, 1);
    Examples<Example> examples = grouped(all, batch);
    List<Example> drawn = new ArrayList<>();
    while (drawn.size() < 3 * count) {
      drawn.addAll(examples.next(batch));
    }

    for (int epoch = 0; epoch < 3; epoch++) {
      assertThat(drawn.subList(epoch * count, epoch * count + count))
          .containsExactlyInAnyOrderElementsOf(all);
    }
    assertThat(drawn.subList(0, count)).isNotEqualTo(drawn.subList(count, 2 * count));
  }

  /** Lengths are 2 to 16: of 50 batches 14 at most have texts of two lengths. */
  @Test
  void aBatchHasTextsOfSimilarLengthInEveryEpoch() {
    int batch = 4;
    int count = 5 * LengthGroups.WINDOW * batch + 1;
    Examples<Example> examples = grouped(Fixtures.examples(count, 1), batch);
    List<List<Integer>> batches =
        Stream.generate(() -> lengths(examples.next(batch))).limit(3L * count / batch).toList();

    long mixed = batches.stream().filter(b -> b.stream().distinct().count() > 1).count();
    assertThat(mixed).isPositive().isLessThan(3 * (5 * 14 + 1));
    assertThat(batches.stream().map(List::getFirst).limit(LengthGroups.WINDOW).toList())
        .isNotEqualTo(
            batches.stream().map(List::getFirst).limit(LengthGroups.WINDOW).sorted().toList());
  }

  @Test
  void skippingGroupedBatchesIsLikeDrawingThem() {
    List<Example> all = Fixtures.examples(26, 1);
    for (int batch : new int[] {1, 4, 26, 30}) {
      for (int skipped : new int[] {0, 1, 6, 7, 13, 20}) {
        Examples<Example> drawn = grouped(all, batch);
        for (int i = 0; i < skipped; i++) {
          drawn.next(batch);
        }
        Examples<Example> examples = grouped(all, batch);
        examples.skip((long) skipped * batch);
        for (int i = 0; i < 8; i++) {
          assertThat(examples.next(batch))
              .as("%d of %d", skipped, batch)
              .isEqualTo(drawn.next(batch));
        }
      }
    }
  }
}
