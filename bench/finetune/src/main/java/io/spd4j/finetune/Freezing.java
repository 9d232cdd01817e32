package io.spd4j.finetune;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Decides which layers are frozen in which step: gradual unfreezing (Howard, Ruder 2018) at a given
 * step for each layer, and early stopping of a layer whose deviation stops growing.
 */
final class Freezing {
  /** A smaller factor does not count as growth. */
  private static final double GROWTH = 1.005;

  private final List<LayerGroup> layers;
  private final Map<String, Integer> unfreeze;

  private final Integer patience;

  private final State state;

  /**
   * What the records so far say about the layers, by their names. Copies the collections.
   *
   * @param stopped the layers that were stopped early
   * @param largest the largest deviation
   * @param idle the number of records in a row without growth
   */
  record State(Set<String> stopped, Map<String, Double> largest, Map<String, Integer> idle) {
    State {
      stopped = new TreeSet<>(stopped);
      largest = new TreeMap<>(largest);
      idle = new TreeMap<>(idle);
    }

    State() {
      this(Set.of(), Map.of(), Map.of());
    }
  }

  /**
   * @param patience the number of records after which a layer stops; null for never
   * @param state before the first step, an empty one; changed by the records that follow
   */
  Freezing(List<LayerGroup> layers, Map<String, Integer> unfreeze, Integer patience, State state) {
    this.layers = layers;
    this.unfreeze = unfreeze;
    this.patience = patience;
    this.state = state;
  }

  /** Freezes and unfreezes layers for a step, counted from 1. */
  void apply(int step) {
    for (LayerGroup layer : layers) {
      boolean early = step < unfreeze.getOrDefault(layer.name(), 1);
      layer.group().frozen(early || state.stopped.contains(layer.name()));
    }
  }

  /**
   * Returns the depth of the lowest layer that is trained; {@link Integer#MAX_VALUE} if there is
   * none.
   */
  int lowest() {
    return layers.stream()
        .filter(layer -> !layer.group().frozen())
        .mapToInt(LayerGroup::depth)
        .min()
        .orElse(Integer.MAX_VALUE);
  }

  /**
   * Stops a layer if its deviation has not grown for long enough. Never stops the head.
   *
   * @return whether this call stopped the layer
   */
  boolean record(LayerGroup layer, double deviation) {
    if (patience == null || layer.isHead() || layer.group().frozen()) {
      return false;
    }
    String name = layer.name();
    if (deviation > state.largest.getOrDefault(name, 0.0) * GROWTH) {
      state.largest.put(name, deviation);
      state.idle.put(name, 0);
    } else if (state.idle.merge(name, 1, Integer::sum) >= patience) {
      return state.stopped.add(name);
    }
    return false;
  }

  /** Returns what the records so far say, which later ones change. */
  State state() {
    return state;
  }
}
