package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.Interpolation;
import io.spd4j.finetune.minilm.Weight;
import io.spd4j.finetune.minilm.Weights;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/**
 * The models between a probed and a fine-tuned one: (1−α)·θ0 + α·θ (WiSE-FT; Wortsman et al.,
 * "Robust fine-tuning of zero-shot models", CVPR 2022). Works on the float32 weights that the
 * network computes with, whatever the optimizer stores; θ0 is the pre-trained backbone in float32
 * with the head as it was after probing. Confined to the thread that created it.
 */
final class WiseFt implements AutoCloseable {
  private final Arena arena = Arena.ofConfined();
  private final Weights network;
  private final Weights probed;
  private final Weights tuned;

  /**
   * @param pretrained the backbone of θ0
   * @param probedHead the head of θ0: the values of its tensors, one after the other
   * @param network θ
   */
  WiseFt(Weights pretrained, List<Float> probedHead, Weights network) {
    this.network = network;
    tuned = network.copy(arena, false);
    List<Weight> head = new ArrayList<>();
    Iterator<Float> values = probedHead.iterator();
    for (Weight weight : network.all()) {
      if (!pretrained.has(weight.name())) {
        Weight before = Weight.zeros(arena, weight.name(), weight.shape(), false);
        for (long i = 0; i < before.numel(); i++) {
          before.data().setAtIndex(JAVA_FLOAT, i, values.next());
        }
        head.add(before);
      }
    }
    probed = pretrained.with(head);
  }

  /** Makes the network the model of α, 0 to 1. */
  void interpolate(double alpha) {
    for (Weight weight : network.all()) {
      String name = weight.name();
      Interpolation.interpolate(
          probed.get(name).data(), tuned.get(name).data(), alpha, weight.data());
    }
  }

  /** Makes the network θ again. */
  @Override
  public void close() {
    network.all().forEach(w -> w.data().copyFrom(tuned.get(w.name()).data()));
    arena.close();
  }
}
