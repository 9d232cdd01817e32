package io.spd4j.finetune.report;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/**
 * What happened in a training run, step by step. The trainer appends to it. A checkpoint has it as
 * JSON. Not thread-safe.
 */
public final class History {
  private final List<String> layers;
  private final List<String> tensors;
  private final List<Step> steps = new ArrayList<>();
  private final List<Deviation> deviations = new ArrayList<>();
  private final SequencedMap<String, Integer> stopped = new LinkedHashMap<>();

  /** What is left of the steps if they were dropped; else null. */
  private final StepSummary left;

  /**
   * One optimizer step. Numbers may be NaN or infinite if training diverges.
   *
   * @param loss the batch's mean loss
   * @param gradientNorm the global norm before clipping
   * @param learningRate the step's learning rate
   * @param stepMillis milliseconds of the whole step: forward, backward and optimizer
   * @param optimizerMillis the optimizer's part of stepMillis
   * @param tokens the number of tokens of the batch's texts
   * @param padding how much padding was added to them
   * @param selected the tensors that were selected, as indices into {@link History#tensors()};
   *     copied
   */
  public record Step(
      double loss,
      double gradientNorm,
      double learningRate,
      double stepMillis,
      double optimizerMillis,
      int tokens,
      int padding,
      BitSet selected) {
    /** Copies the selection, which the trainer may reuse. */
    public Step {
      selected = (BitSet) selected.clone();
    }
  }

  /**
   * The distance ‖θ−θ0‖ of every layer.
   *
   * @param step the number of steps taken before
   * @param layers as in {@link History#layers()}
   */
  public record Deviation(int step, List<Double> layers) {
    /** Copies the list. */
    public Deviation {
      layers = List.copyOf(layers);
    }
  }

  /**
   * Creates an empty history.
   *
   * @param layers names of the layers whose deviations are recorded; can be empty
   * @param tensors names of the tensors that the rule selects from, grouped by layer; empty for a
   *     rule that does not select
   */
  public History(List<String> layers, List<String> tensors) {
    this(layers, tensors, null);
  }

  private History(List<String> layers, List<String> tensors, StepSummary left) {
    this.layers = List.copyOf(layers);
    this.tensors = List.copyOf(tensors);
    this.left = left;
  }

  /** Returns a history of which only a summary is known: it has no steps and no deviations. */
  static History dropped(StepSummary left) {
    return new History(List.of(), List.of(), left);
  }

  /**
   * Creates a history with what it has so far.
   *
   * @throws IllegalArgumentException if the parts do not belong together
   */
  @JsonCreator
  static History of(
      @JsonProperty("layers") List<String> layers,
      @JsonProperty("tensors") List<String> tensors,
      @JsonProperty("steps") List<Step> steps,
      @JsonProperty("deviations") List<Deviation> deviations,
      @JsonProperty("stopped") SequencedMap<String, Integer> stopped) {
    History history = new History(layers, tensors);
    steps.forEach(history::add);
    deviations.forEach(d -> history.check(d.layers()));
    history.deviations.addAll(deviations);
    history.stopped.putAll(stopped);
    return history;
  }

  /**
   * Appends a step.
   *
   * @throws IllegalArgumentException if it selects a tensor without a name in the history
   */
  public void add(Step step) {
    if (step.selected().length() > tensors.size()) {
      throw new IllegalArgumentException(
          "tensor %d was selected of only %d"
              .formatted(step.selected().length() - 1, tensors.size()));
    }
    steps.add(step);
  }

  /**
   * Records the deviation after the last step that was added.
   *
   * @param norms ‖θ−θ0‖ of every layer, as in {@link #layers()}
   * @throws IllegalArgumentException if their number differs from the number of layers
   */
  public void deviation(List<Double> norms) {
    check(norms);
    deviations.add(new Deviation(steps.size(), norms));
  }

  private void check(List<Double> norms) {
    if (norms.size() != layers.size()) {
      throw new IllegalArgumentException(
          "%d deviations for %d layers".formatted(norms.size(), layers.size()));
    }
  }

  /** Records that a layer is no longer trained after the last step that was added. */
  public void stop(String layer) {
    stopped.put(layer, steps.size());
  }

  /** Returns the layers that were stopped early, each with the last step it was trained in. */
  @JsonProperty
  public SequencedMap<String, Integer> stopped() {
    return Collections.unmodifiableSequencedMap(stopped);
  }

  /** Returns the names of the layers. */
  @JsonProperty
  public List<String> layers() {
    return layers;
  }

  /**
   * Returns the names of the tensors that the rule selects from; empty for a rule that does not
   * select.
   */
  @JsonProperty
  public List<String> tensors() {
    return tensors;
  }

  /** Returns the steps so far, step 1 first. */
  @JsonProperty
  public List<Step> steps() {
    return Collections.unmodifiableList(steps);
  }

  /** Returns the deviations so far. */
  @JsonProperty
  public List<Deviation> deviations() {
    return Collections.unmodifiableList(deviations);
  }

  /** Returns whether only a summary is known. */
  boolean isDropped() {
    return left != null;
  }

  /** Returns the steps in a few numbers. */
  StepSummary summary() {
    return isDropped() ? left : StepSummary.of(steps);
  }
}
