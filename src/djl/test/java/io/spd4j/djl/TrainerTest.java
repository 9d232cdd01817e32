package io.spd4j.djl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.EasyTrain;
import ai.djl.training.GradientCollector;
import ai.djl.training.Trainer;
import ai.djl.training.listener.EvaluatorTrainingListener;
import ai.djl.training.listener.TrainingListenerAdapter;
import ai.djl.training.loss.Loss;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import ai.djl.util.Pair;
import io.spd4j.DecayRule;
import io.spd4j.L2SP;
import io.spd4j.MomentType;
import io.spd4j.NoDecay;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.SpdReport;
import io.spd4j.WeightDecay;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/** DJL's Trainer takes the optimizer unchanged. */
class TrainerTest {
  private static final Function<String, DecayRule> RULES =
      name ->
          name.startsWith("04")
              ? new WeightDecay(0.01)
              : name.endsWith("bias") ? new L2SP(0.1) : new SelectiveProjectionDecay(1);

  private static SpdOptimizer.Builder builder(Model model, Function<String, DecayRule> rules) {
    return SpdOptimizer.builder().block(model.getBlock()).rule(rules);
  }

  /** Trains for some epochs; returns the loss of each. */
  private static List<Float> train(Model model, Optimizer optimizer, int epochs) throws Exception {
    List<Float> losses = new ArrayList<>();
    DefaultTrainingConfig config =
        new DefaultTrainingConfig(Loss.softmaxCrossEntropyLoss()).optOptimizer(optimizer);
    config.addTrainingListeners(
        new TrainingListenerAdapter() {
          @Override
          public void onEpoch(Trainer trainer) {
            losses.add(trainer.getLoss().getAccumulator(EvaluatorTrainingListener.TRAIN_EPOCH));
          }
        });
    config.addTrainingListeners(new EvaluatorTrainingListener());
    try (Trainer trainer = model.newTrainer(config);
        NDManager manager = NDManager.newBaseManager()) {
      trainer.initialize(new Shape(16, Networks.FEATURES));
      EasyTrain.fit(trainer, epochs, Networks.dataset(manager, new SplittableRandom(1), 256), null);
    }
    return losses;
  }

  private static void backward(Trainer trainer, SplittableRandom random) {
    NDList examples = Networks.examples(trainer.getManager(), random, 16);
    try (GradientCollector collector = trainer.newGradientCollector()) {
      NDList output = trainer.forward(new NDList(examples.get(0)));
      collector.backward(trainer.getLoss().evaluate(new NDList(examples.get(1)), output));
    }
  }

  @Test
  void theLossFallsAndSpdSelects() throws Exception {
    try (Model model = Networks.model(1);
        Warnings warnings = new Warnings();
        SpdOptimizer optimizer =
            builder(model, RULES).optLearningRateTracker(Tracker.fixed(0.02f)).build()) {
      List<Float> losses = train(model, optimizer, 6);
      assertThat(losses).hasSize(6);
      assertThat(losses.getFirst()).isBetween(0.2f, 1.5f);
      assertThat(losses.getLast()).isLessThan(0.5f * losses.getFirst());
      assertThat(optimizer.spdReports())
          .extracting(SpdReport::name)
          .containsExactlyInAnyOrder("01Linear_weight", "02LayerNorm_gamma", "02LayerNorm_beta");
      assertThat(optimizer.spdReports())
          .allSatisfy(report -> assertThat(report.step()).isEqualTo(6 * 16))
          .anySatisfy(report -> assertThat(report.selections()).isPositive());
      assertThat(warnings.messages()).isEmpty(); // nothing was copied
    }
  }

  @Test
  void plainAdamGoesWhereDjlsAdamGoes() throws Exception {
    try (Model ours = Networks.model(2);
        Model djls = Networks.model(2);
        SpdOptimizer optimizer =
            builder(ours, name -> new NoDecay())
                .optLearningRateTracker(Tracker.fixed(0.01f))
                .build()) {
      List<Float> losses = train(ours, optimizer, 2);
      List<Float> expected =
          train(djls, Optimizer.adam().optLearningRateTracker(Tracker.fixed(0.01f)).build(), 2);
      assertThat(losses.getLast()).isLessThan(0.9f * losses.getFirst());
      for (int i = 0; i < losses.size(); i++) {
        assertThat(losses.get(i)).isCloseTo(expected.get(i), within(1e-4f));
      }
    }
  }

  @Test
  void eachStepHasTheBitsOfSpd4jAndZeroesTheGradients() {
    try (Model model = Networks.model(3);
        PlainRun plain = new PlainRun(0);
        SpdOptimizer optimizer =
            builder(model, RULES)
                .betas(0.8, 0.99)
                .eps(1e-7)
                .optLearningRateTracker(Tracker.fixed(0.02f))
                .build();
        Trainer trainer =
            model.newTrainer(
                new DefaultTrainingConfig(Loss.softmaxCrossEntropyLoss())
                    .optOptimizer(optimizer))) {
      trainer.initialize(new Shape(16, Networks.FEATURES));
      Map<String, NDArray> weights = new LinkedHashMap<>();
      for (Pair<String, Parameter> p : model.getBlock().getParameters()) {
        weights.put(p.getKey(), p.getValue().getArray());
        plain.add(p.getKey(), p.getValue().getArray(), RULES.apply(p.getKey()), MomentType.FLOAT32);
      }
      assertThat(weights).hasSize(6);
      SplittableRandom random = new SplittableRandom(4);
      for (int step = 0; step < 5; step++) {
        backward(trainer, random);
        weights.forEach((name, weight) ->
            plain.adam().stepParameter(plain.prepare(name, weight.getGradient(), 0.02f)));
        trainer.step();
        weights.forEach((name, weight) -> {
          assertThat(Arrays.bytes(weight)).as(name).isEqualTo(plain.bytes(name));
          assertThat(weight.getGradient().toFloatArray()).as(name).containsOnly(0);
        });
      }
    }
  }

  @Test
  void theBlockMayBeInitializedLater() {
    try (Model model = Model.newInstance("late", "PyTorch")) {
      model.setBlock(Networks.block());
      try (SpdOptimizer optimizer = builder(model, RULES).build();
          Trainer trainer =
              model.newTrainer(
                  new DefaultTrainingConfig(Loss.softmaxCrossEntropyLoss())
                      .optOptimizer(optimizer))) {
        trainer.initialize(new Shape(16, Networks.FEATURES));
        backward(trainer, new SplittableRandom(5));
        NDArray weight = model.getBlock().getParameters().get("01Linear_weight").getArray();
        float[] before = weight.toFloatArray();
        trainer.step();
        assertThat(weight.toFloatArray()).isNotEqualTo(before);
        assertThat(optimizer.spdReport("01Linear_weight")).isPresent();
      }
    }
  }

  @Test
  void aNanGradientIsGoneAfterItsUpdate() {
    try (Model model = Networks.model(6);
        SpdOptimizer optimizer = builder(model, RULES).build()) {
      NDArray weight = model.getBlock().getParameters().get("01Linear_weight").getArray();
      Networks.backward(
          model, Networks.examples(model.getNDManager(), new SplittableRandom(6), 16));
      NDArray gradient = weight.getGradient();
      gradient.muli(Float.NaN);
      assertThat(gradient.toFloatArray()).containsOnly(Float.NaN);
      NDArray other = gradient.onesLike();
      optimizer.update(
          model.getBlock().getParameters().get("01Linear_weight").getId(), weight, other);
      assertThat(gradient.toFloatArray()).containsOnly(0);
      assertThat(other.toFloatArray()).containsOnly(1);
    }
  }
}
