package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.training.tracker.Tracker;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.SpdReport;
import io.spd4j.WeightDecay;
import io.spd4j.djl.SpdOptimizer;
import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.minilm.Classifier;
import io.spd4j.finetune.minilm.Tiny;
import io.spd4j.finetune.minilm.Weights;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A tiny model learns with DJL's Trainer and SpdOptimizer. */
class DjlTrainingTest {
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void learns(boolean clipped) {
    try (Arena arena = Arena.ofShared()) {
      Weights weights =
          Tiny.encoder(arena, Tiny.CONFIG, 1)
              .with(Classifier.head(arena, Tiny.CONFIG, 2, new SplittableRandom(2)));
      List<SpdOptimizer> optimizers = new ArrayList<>();
      try (DjlTraining training =
          new DjlTraining(
              Tiny.CONFIG,
              weights,
              block -> {
                optimizers.add(
                    SpdOptimizer.builder()
                        .block(block)
                        .rule(name ->
                            name.startsWith("head")
                                ? new WeightDecay(0.01)
                                : new SelectiveProjectionDecay(1))
                        .optLearningRateTracker(Tracker.fixed(3e-3f))
                        .build());
                return optimizers.getFirst();
              })) {
        Examples<Example> examples =
            new Examples<>(Fixtures.examples(512, 1), new SplittableRandom(3));
        for (int step = 0; step < 120; step++) {
          float loss = training.backward(examples.next(16));
          assertThat(loss).isFinite();
          if (clipped) {
            optimizers.getFirst().stepClipped(1);
          } else {
            training.trainer().step();
          }
        }
        assertThat(training.correct(Fixtures.examples(200, 9))).isGreaterThan(170);
        assertThat(optimizers.getFirst().spdReports())
            .hasSize(weights.all().size() - 2)
            .anyMatch(report -> report.selections() > 0)
            .extracting(SpdReport::name)
            .contains("encoder.layer.1.output.dense.weight")
            .doesNotContain("head.weight");
      } finally {
        optimizers.forEach(SpdOptimizer::close);
      }
    }
  }
}
