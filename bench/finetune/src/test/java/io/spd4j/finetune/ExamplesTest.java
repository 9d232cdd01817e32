package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.finetune.data.Example;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
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
}
