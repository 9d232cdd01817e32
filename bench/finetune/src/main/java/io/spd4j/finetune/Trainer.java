package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.Parameter;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.minilm.PartEvent;
import io.spd4j.finetune.minilm.Weight;
import io.spd4j.finetune.report.History;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;

/** The training loop: what a custom trainer does around the optimizer. */
final class Trainer {
  private final TrainingOptions options;
  private final Model model;
  private final Examples<Example> examples;

  /** The number of steps at the beginning in which only the head is trained. */
  private final int probing;

  private final LearningRate probingRate;
  private final LearningRate learningRate;
  private final Freezing freezing;
  private final List<LayerGroup> backbone;

  /** The layers whose rule selects tensors. */
  private final List<LayerGroup> selecting;

  private final History history;

  /** The head after probing, its tensors one after the other; empty before. */
  private List<Float> probedHead = List.of();

  /**
   * What a trainer needs to go on after some steps, besides the model as it was then.
   *
   * @param probedHead the values of the head after probing, its tensors one after the other; empty
   *     before and without probing
   */
  record State(History history, Freezing.State freezing, List<Float> probedHead) {}

  Trainer(TrainingOptions options, Model model, List<Example> train, SplittableRandom random) {
    this(options, model, train, random, null);
  }

  /**
   * @param random as it was before the first step
   * @param resumed where to go on, with the model of that moment; null before the first step
   */
  Trainer(
      TrainingOptions options,
      Model model,
      List<Example> train,
      SplittableRandom random,
      State resumed) {
    this.options = options;
    this.model = model;
    LengthGroups<Example> groups =
        options.groupByLength
            ? new LengthGroups<>(options.batch, example -> example.tokens().length)
            : null;
    examples = new Examples<>(train, random, groups);
    probing = model.method() == Method.LP_FT ? options.probing() : 0;
    probingRate = LearningRate.of(options, probing);
    learningRate = LearningRate.of(options, options.steps - probing);
    backbone = model.layers().stream().filter(layer -> !layer.isHead()).toList();
    Map<String, Integer> unfreeze = new HashMap<>(options.unfreeze);
    backbone.forEach(layer -> unfreeze.merge(layer.name(), probing + 1, Math::max));
    freezing =
        new Freezing(
            model.layers(),
            unfreeze,
            options.earlyStop,
            resumed == null ? new Freezing.State() : resumed.freezing);
    selecting =
        backbone.stream()
            .filter(layer -> layer.group().decay() instanceof SelectiveProjectionDecay)
            .toList();
    if (resumed != null) {
      history = resumed.history;
      probedHead = resumed.probedHead;
      examples.skip((long) history.steps().size() * options.batch);
      return;
    }
    history =
        new History(
            backbone.stream().map(LayerGroup::title).toList(),
            selecting.stream()
                .flatMap(layer -> layer.group().parameters().stream())
                .map(Parameter::name)
                .toList());
  }

  /**
   * Trains.
   *
   * @param stop asked before each step
   * @param each called with each step, after the records that follow it
   * @return the history; it has fewer steps than requested if training was stopped or diverged
   */
  History train(BooleanSupplier stop, Consumer<History.Step> each) {
    if (history.deviations().isEmpty()) {
      history.deviation(deviations()); // before the first step
    }
    for (int step = history.steps().size() + 1;
        step <= options.steps && !Divergence.of(history, options.steps) && !stop.getAsBoolean();
        step++) {
      History.Step taken = step(step);
      history.add(taken);
      if (step == probing) {
        probedHead = head();
      }
      if (step % options.record == 0 || step == options.steps) {
        record();
      }
      each.accept(taken);
    }
    return history;
  }

  /** Returns what a trainer needs to go on from here; later steps change it. */
  State state() {
    return new State(history, freezing.state(), probedHead);
  }

  private List<Float> head() {
    List<Float> values = new ArrayList<>();
    for (Weight weight : model.layers().getLast().weights()) {
      for (long i = 0; i < weight.numel(); i++) {
        values.add(weight.data().getAtIndex(JAVA_FLOAT, i));
      }
    }
    return values;
  }

  private History.Step step(int step) {
    freezing.apply(step);
    boolean probe = step <= probing;
    double factor =
        probe ? probingRate.factor(step) : learningRate.factor(step - probing); // a new warm-up
    model.layers().forEach(layer -> layer.group().lr(layer.lr() * factor));
    List<Example> next = examples.next(options.batch);

    PartEvent whole = StepProfile.beginStep();
    long start = System.nanoTime();
    SubBatches.Result batch = model.subBatches().gradients(next, freezing.lowest());
    double scale = model.subBatches().scale();
    long stepping = System.nanoTime();
    PartEvent optimizer = PartEvent.begin("clipping and optimizer");
    double norm =
        model.adam().stepClipped(options.clip, scale); // skips the step if it is not finite
    optimizer.commit();
    if (model.ftp() != null && Double.isFinite(norm)) {
      PartEvent projection = PartEvent.begin("projection of FTP");
      double clipped = Math.min(1, options.clip / (norm + 1e-6)); // as by the optimizer
      model.ftp().project(clipped * scale, batch.ids());
      projection.commit();
    }
    if (model.isShared()) {
      model.adam().gatherLow(); // this network reads both halves of exact parameters
    }
    long stepped = System.nanoTime();
    model.arrays().toNetwork();
    long end = System.nanoTime();
    whole.commit();
    return new History.Step(
        batch.loss(),
        norm,
        probe ? 0 : model.lr() * factor,
        (end - start) / 1e6,
        (stepped - stepping) / 1e6,
        batch.tokens(),
        batch.padding(),
        selected(Double.isFinite(norm)));
  }

  private BitSet selected(boolean stepped) {
    BitSet selected = new BitSet();
    int index = 0;
    for (LayerGroup layer : selecting) {
      for (Parameter parameter : layer.group().parameters()) {
        if (stepped
            && !layer.group().frozen()
            && model.adam().spdReport(parameter).filter(r -> r.selected()).isPresent()) {
          selected.set(index);
        }
        index++;
      }
    }
    return selected;
  }

  private List<Double> deviations() {
    return backbone.stream().map(layer -> Math.sqrt(layer.squaredDeviation())).toList();
  }

  private void record() {
    List<Double> deviations = deviations();
    history.deviation(deviations);
    boolean last = history.steps().size() == options.steps;
    for (int i = 0; i < backbone.size(); i++) {
      LayerGroup layer = backbone.get(i);
      if (freezing.record(layer, deviations.get(i)) && !last) {
        history.stop(layer.title());
      }
    }
  }
}
