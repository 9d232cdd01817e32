package io.spd4j.finetune;

import io.spd4j.Adam;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.WeightDecay;
import io.spd4j.finetune.TrainingOptions.Schedule;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.MaskedLanguageModel;
import io.spd4j.finetune.minilm.MaskedText;
import io.spd4j.finetune.minilm.Weight;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.finetune.report.Curve;
import io.spd4j.onednn.OneDnn;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/**
 * Trains an encoder from random weights with AdamW to predict hidden tokens. Closing it frees all
 * of its off-heap memory. Confined to the thread that created it.
 */
final class Pretraining implements AutoCloseable {
  private static final double WARMUP = 0.1;
  private static final double DECAY = 0.01;
  private static final double CLIP = 1;

  private final PretrainOptions options;
  private final State state;
  private final long seed;
  private final SplittableRandom random;
  private final Arena arena = Arena.ofShared();
  private final OneDnn dnn;
  private final Weights weights;
  private final MaskedLanguageModel model;
  private final StateArrays arrays;
  private final ParameterGroup group;
  private final Adam adam;

  Pretraining(PretrainOptions options, Config config, int hidden, State state, long seed) {
    this.options = options;
    this.state = state;
    this.seed = seed;
    random = new SplittableRandom(seed);
    dnn = options.openOneDnn();
    boolean ready = false;
    try {
      weights = MaskedLanguageModel.weights(arena, config, random.split());
      int predictions = options.batch * hidden;
      model =
          new MaskedLanguageModel(
              dnn, config, weights, options.batch, options.length, predictions, arena);
      arrays = new StateArrays(state, arena, options.threads);
      List<Parameter> parameters = new ArrayList<>();
      for (Weight weight : weights.all()) {
        parameters.add(arrays.parameter(weight, null));
      }
      group = ParameterGroup.builder().decay(new WeightDecay(DECAY)).parameters(parameters).build();
      Adam.Builder builder = Adam.builder().threads(options.threads).seed(seed).group(group);
      if (options.backend != null) {
        builder.backend(options.backend);
      }
      adam = builder.build();
      arrays.toNetwork();
      ready = true;
    } finally {
      if (!ready) {
        dnn.close();
        arena.close();
      }
    }
  }

  Weights weights() {
    return weights;
  }

  /**
   * Trains.
   *
   * @param train sequences
   * @param stop asked before each step
   * @param each called with each step
   * @return the steps; fewer than requested if training was stopped
   */
  List<Curve.Step> train(
      MaskedCorpus corpus, List<int[]> train, BooleanSupplier stop, Consumer<Curve.Step> each) {
    Examples<int[]> examples = new Examples<>(train, random.split());
    SplittableRandom hiding = random.split();
    int warmup = (int) Math.round(options.steps * WARMUP);
    LearningRate rate = new LearningRate(options.steps, warmup, Schedule.LINEAR);
    List<Curve.Step> steps = new ArrayList<>();
    while (steps.size() < options.steps && !stop.getAsBoolean()) {
      MaskedText text = corpus.hide(examples.next(options.batch), hiding);
      group.lr(options.lr * rate.factor(steps.size() + 1));
      long start = System.nanoTime();
      double loss = model.lossAndGradients(text);
      arrays.toOptimizer(group.parameters());
      long stepping = System.nanoTime();
      adam.stepClipped(CLIP);
      long stepped = System.nanoTime();
      arrays.toNetwork();
      long end = System.nanoTime();
      Curve.Step step = new Curve.Step(loss, (end - start) / 1e6, (stepped - stepping) / 1e6);
      steps.add(step);
      each.accept(step);
    }
    return steps;
  }

  /** Returns the mean loss on texts of the largest batch's size. */
  double loss(List<MaskedText> texts) {
    return texts.stream().mapToDouble(model::loss).average().orElse(Double.NaN);
  }

  /** Returns the curve of steps taken. */
  Curve curve(List<Curve.Step> steps, List<MaskedText> heldOut) {
    return new Curve(state.toString(), seed, steps, loss(heldOut));
  }

  @Override
  public void close() {
    adam.close();
    dnn.close();
    arena.close();
  }
}
