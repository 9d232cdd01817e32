package io.spd4j.finetune;

import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Decides which layers are frozen in which step: gradual unfreezing (Howard, Ruder 2018) at a given
 * step for each layer, and early stopping of a layer whose deviation stops growing.
 */
final class Freezing {
  /** A smaller factor does not count as growth. */
  private static final double GROWTH = 1.005;

  private final List<LayerGroup> layers;
  private final Map<String, Integer> unfreeze;

  /** Null if layers are never stopped. */
  private final Integer patience;

  private final Set<LayerGroup> stopped = new HashSet<>();
  private final Map<LayerGroup, Double> largest = new HashMap<>();
  private final Map<LayerGroup, Integer> idle = new HashMap<>();

  Freezing(List<LayerGroup> layers, Map<String, Integer> unfreeze, Integer patience) {
    this.layers = layers;
    this.unfreeze = unfreeze;
    this.patience = patience;
  }

  /** Freezes and unfreezes layers for a step, counted from 1. */
  void apply(int step) {
    for (LayerGroup layer : layers) {
      boolean early = step < unfreeze.getOrDefault(layer.name(), 1);
      layer.group().frozen(early || stopped.contains(layer));
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
    if (deviation > largest.getOrDefault(layer, 0.0) * GROWTH) {
      largest.put(layer, deviation);
      idle.put(layer, 0);
    } else if (idle.merge(layer, 1, Integer::sum) >= patience) {
      return stopped.add(layer);
    }
    return false;
  }

  /** Returns the layers that were stopped early. */
  Set<LayerGroup> stopped() {
    return stopped;
  }
}
