package io.spd4j.finetune.report;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SequencedMap;

/**
 * What happened in a training run, step by step; the trainer appends to it. Not thread-safe: one
 * thread at a time.
 */
public final class History {
  private final List<String> layers;
  private final List<String> tensors;
  private final List<Step> steps = new ArrayList<>();
  private final List<Deviation> deviations = new ArrayList<>();
  private final SequencedMap<String, Integer> stopped = new LinkedHashMap<>();

  /**
   * One optimizer step. Numbers may be NaN or infinite: that is how training fails.
   *
   * @param loss the batch's mean
   * @param gradientNorm the global norm before clipping
   * @param learningRate the step's
   * @param stepMillis the whole step: forward, backward and optimizer
   * @param optimizerMillis the optimizer's part of it
   * @param selected the tensors that were selected, as indices into {@link History#tensors()};
   *     copied
   */
  public record Step(
      double loss,
      double gradientNorm,
      double learningRate,
      double stepMillis,
      double optimizerMillis,
      BitSet selected) {
    /** Copies what the trainer may go on to use. */
    public Step {
      selected = (BitSet) selected.clone();
    }
  }

  /**
   * ‖θ−θ0‖ of every layer.
   *
   * @param step after how many steps
   * @param layers as in {@link History#layers()}
   */
  public record Deviation(int step, List<Double> layers) {
    /** Copies the list. */
    public Deviation {
      layers = List.copyOf(layers);
    }
  }

  /**
   * An empty history.
   *
   * @param layers names of what deviations are recorded for; can be empty
   * @param tensors names of the tensors that the rule selects from, grouped by layer; empty for a
   *     rule that does not select
   */
  public History(List<String> layers, List<String> tensors) {
    this.layers = List.copyOf(layers);
    this.tensors = List.copyOf(tensors);
  }

  /**
   * Appends a step.
   *
   * @throws IllegalArgumentException if it selects a tensor that the history has no name for
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
   * Records the deviation as it is after the last step that was added.
   *
   * @param norms ‖θ−θ0‖ of every layer, as in {@link #layers()}
   * @throws IllegalArgumentException if there are more or fewer than layers
   */
  public void deviation(List<Double> norms) {
    if (norms.size() != layers.size()) {
      throw new IllegalArgumentException(
          "%d deviations for %d layers".formatted(norms.size(), layers.size()));
    }
    deviations.add(new Deviation(steps.size(), norms));
  }

  /**
   * Records that a layer is trained no longer, from the step behind the last one that was added.
   */
  public void stop(String layer) {
    stopped.put(layer, steps.size());
  }

  /** The layers that were stopped early, each with the last step it was trained in. */
  public SequencedMap<String, Integer> stopped() {
    return Collections.unmodifiableSequencedMap(stopped);
  }

  /** Names of the layers. */
  public List<String> layers() {
    return layers;
  }

  /** Names of the tensors that the rule selects from; empty for a rule that does not select. */
  public List<String> tensors() {
    return tensors;
  }

  /** The steps so far, step 1 first. */
  public List<Step> steps() {
    return Collections.unmodifiableList(steps);
  }

  /** The deviations so far. */
  public List<Deviation> deviations() {
    return Collections.unmodifiableList(deviations);
  }
}
