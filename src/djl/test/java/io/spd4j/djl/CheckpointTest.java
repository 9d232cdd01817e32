package io.spd4j.djl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Model;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.GradientCollector;
import ai.djl.training.Trainer;
import ai.djl.training.loss.Loss;
import ai.djl.util.Pair;
import io.spd4j.MomentType;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.SpdReport;
import io.spd4j.WeightDecay;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A training that continues from a checkpoint goes on with the same bits. */
class CheckpointTest {
  private static final int HALF = 6;

  @TempDir private Path folder;

  private static SpdOptimizer optimizer(Model model) {
    return SpdOptimizer.builder()
        .block(model.getBlock())
        .rule(
            name -> name.startsWith("04") ? new WeightDecay(0.1) : new SelectiveProjectionDecay(1))
        .momentType(MomentType.BLOCKWISE_8BIT)
        .seed(9)
        .optLearningRateTracker((id, count) -> 0.03f / (1 + count))
        .build();
  }

  private static Trainer trainer(Model model, SpdOptimizer optimizer) {
    Trainer trainer =
        model.newTrainer(
            new DefaultTrainingConfig(Loss.softmaxCrossEntropyLoss()).optOptimizer(optimizer));
    trainer.initialize(new Shape(16, Networks.FEATURES));
    return trainer;
  }

  /** Takes the steps of a run, alone or with all parameters at once. */
  private static void train(Trainer trainer, SpdOptimizer optimizer, int from, int to) {
    for (int step = from; step < to; step++) {
      NDList examples =
          Networks.examples(trainer.getManager(), new SplittableRandom(100 + step), 16);
      try (GradientCollector collector = trainer.newGradientCollector()) {
        NDList output = trainer.forward(new NDList(examples.get(0)));
        collector.backward(trainer.getLoss().evaluate(new NDList(examples.get(1)), output));
      }
      if (step % 3 == 2) {
        optimizer.stepClipped(1);
      } else {
        trainer.step();
      }
    }
  }

  private static Map<String, List<Float>> weights(Model model) {
    Map<String, List<Float>> weights = new LinkedHashMap<>();
    for (Pair<String, Parameter> p : model.getBlock().getParameters()) {
      List<Float> values = new ArrayList<>();
      for (float value : p.getValue().getArray().toFloatArray()) {
        values.add(value);
      }
      weights.put(p.getKey(), values);
    }
    return weights;
  }

  @Test
  void theBitsAreThoseOfAnUninterruptedTraining() throws IOException {
    Path file = folder.resolve("checkpoint.safetensors");
    Map<String, List<Float>> half;
    Map<String, List<Float>> whole;
    List<SpdReport> reports;
    try (Model model = Networks.model(1);
        SpdOptimizer optimizer = optimizer(model);
        Trainer trainer = trainer(model, optimizer)) {
      train(trainer, optimizer, 0, HALF);
      optimizer.save(file);
      half = weights(model);
      train(trainer, optimizer, HALF, 2 * HALF);
      whole = weights(model);
      reports = optimizer.spdReports();
    }
    assertThat(whole).isNotEqualTo(half);
    assertThat(reports).hasSize(4).anyMatch(report -> report.selections() > 0);
    try (Model model = Networks.model(1);
        SpdOptimizer optimizer = optimizer(model);
        Trainer trainer = trainer(model, optimizer)) {
      assertThat(weights(model)).isNotEqualTo(half);
      optimizer.restore(file);
      assertThat(weights(model)).isEqualTo(half);
      train(trainer, optimizer, HALF, 2 * HALF);
      assertThat(weights(model)).isEqualTo(whole);
      assertThat(optimizer.spdReports()).isEqualTo(reports);
    }
  }

  /** Even if the parameter that was updated most is not the first to be updated again. */
  @Test
  void theScheduleGoesOnAtTheLargestCount() throws IOException {
    Path file = folder.resolve("checkpoint.safetensors");
    List<Integer> counts = new ArrayList<>();
    for (boolean resumed : new boolean[] {false, true}) {
      try (Model model = Networks.model(1);
          SpdOptimizer optimizer =
              SpdOptimizer.builder()
                  .block(model.getBlock())
                  .optBeginNumUpdate(10)
                  .optLearningRateTracker((id, count) -> {
                    counts.add(count);
                    return 0.01f;
                  })
                  .build()) {
        Parameter often = model.getBlock().getParameters().get("01Linear_weight");
        Parameter rare = model.getBlock().getParameters().get("01Linear_bias");
        if (resumed) {
          optimizer.restore(file);
        } else {
          for (int i = 0; i < 3; i++) {
            update(optimizer, often);
          }
          optimizer.save(file);
        }
        update(optimizer, rare);
      }
    }
    assertThat(counts).containsExactly(11, 12, 13, 13, 13);
  }

  /** They join in the order of their first updates, which need not be the block's. */
  @Test
  void parametersMayHaveBeenUnfrozenLater() throws IOException {
    Path file = folder.resolve("checkpoint.safetensors");
    Map<String, List<Float>> saved;
    try (Model model = Networks.model(1);
        SpdOptimizer optimizer = optimizer(model)) {
      List<Parameter> parameters = model.getBlock().getParameters().values();
      parameters.forEach(parameter -> parameter.freeze(true));
      for (Parameter parameter : parameters.reversed()) {
        parameter.freeze(false);
        update(optimizer, parameter);
      }
      optimizer.save(file);
      saved = weights(model);
    }
    try (Model model = Networks.model(1);
        SpdOptimizer optimizer = optimizer(model)) {
      optimizer.restore(file);
      assertThat(weights(model)).isEqualTo(saved);
      model.getBlock().getParameters().values().forEach(p -> update(optimizer, p));
      assertThat(optimizer.spdReports()).hasSize(4).allMatch(report -> report.step() == 2);
    }
  }

  /** Its memory may have been a Java buffer's, which nothing keeps then. */
  @Test
  void aClosedWeightIsNotSaved() {
    Path file = folder.resolve("checkpoint.safetensors");
    try (Model model = Networks.model(1);
        SpdOptimizer optimizer = optimizer(model)) {
      Parameter closed = model.getBlock().getParameters().get("04Linear_weight");
      update(optimizer, closed);
      closed.close();
      assertThatThrownBy(() -> optimizer.save(file))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("the weight of 04Linear_weight is closed");
      assertThat(file).doesNotExist();
    }
  }

  private static void update(SpdOptimizer optimizer, Parameter parameter) {
    optimizer.update(parameter.getId(), parameter.getArray(), parameter.getArray().onesLike());
  }

  @Test
  void whatDoesNotFitIsRefused() throws IOException {
    Path file = folder.resolve("checkpoint.safetensors");
    try (Model model = Networks.model(1);
        SpdOptimizer optimizer = optimizer(model);
        Trainer trainer = trainer(model, optimizer)) {
      assertThatThrownBy(() -> optimizer.save(file)).hasMessage("nothing has been updated yet");
      train(trainer, optimizer, 0, 2);
      optimizer.save(file);
      assertThatThrownBy(() -> optimizer.restore(file))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("restore comes before the first update");
    }
    try (Model other = Networks.model(2);
        SpdOptimizer optimizer = optimizer(other);
        Trainer trainer = trainer(other, optimizer)) {
      Map<String, List<Float>> before = weights(other);
      assertThatThrownBy(() -> optimizer.restore(file))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("anchor")
          .hasMessageContaining("01Linear_weight");
      assertThat(weights(other)).isEqualTo(before);
      train(trainer, optimizer, 0, 1); // as if nothing had been tried
      assertThat(optimizer.spdReports()).hasSize(4);
    }
    try (Model model = Model.newInstance("late", "PyTorch")) {
      model.setBlock(Networks.block());
      try (SpdOptimizer early = optimizer(model)) {
        assertThatThrownBy(() -> early.restore(file))
            .isInstanceOf(IllegalStateException.class)
            .hasMessage("01Linear_weight is not initialized");
      }
    }
    try (SpdOptimizer nameless = SpdOptimizer.builder().build()) {
      assertThatThrownBy(() -> nameless.save(file))
          .hasMessage("save needs a block: give one to the builder");
      assertThatThrownBy(() -> nameless.restore(file))
          .hasMessage("restore needs a block: give one to the builder");
    }
  }
}
