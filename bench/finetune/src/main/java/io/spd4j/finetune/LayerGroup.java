package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.ParameterGroup;
import io.spd4j.finetune.minilm.Lora;
import io.spd4j.finetune.minilm.Weight;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.finetune.report.TensorName;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * The parameters of a layer, which are frozen, stopped and reported together.
 *
 * @param name embeddings, layer0 and so on, head
 * @param depth -1 for the embeddings, 0 and up for the encoder's layers, then the head
 * @param lr the learning rate before the schedule's factor
 * @param weights the weights that are trained; A and B of each adapter in turn, if there are any
 * @param pretrained the anchors, by the weights' names; 0 for those that it lacks
 */
record LayerGroup(
    String name,
    int depth,
    double lr,
    ParameterGroup group,
    List<Weight> weights,
    Weights pretrained) {
  static final String EMBEDDINGS = "embeddings";
  static final String HEAD = "head";

  static String layer(int index) {
    return "layer" + index;
  }

  /** Returns the layer's name in the report. */
  String title() {
    return TensorName.of(group.parameters().getFirst().name()).layer();
  }

  boolean isHead() {
    return name.equals(HEAD);
  }

  /** Returns ‖θ−θ0‖² of the weights, trained themselves or through adapters. */
  double squaredDeviation() {
    double sum = 0;
    for (int i = 0; i < weights.size(); i++) {
      Weight weight = weights.get(i);
      if (Lora.isNameOf(weight.name())) {
        sum += Lora.squaredNorm(weight, weights.get(++i));
      } else {
        boolean anchored = pretrained.has(weight.name());
        sum +=
            squaredDeviation(weight.data(), anchored ? pretrained.get(weight.name()).data() : null);
      }
    }
    return sum;
  }

  private static double squaredDeviation(MemorySegment data, MemorySegment anchor) {
    double sum = 0;
    for (long i = 0; i < data.byteSize() / Float.BYTES; i++) {
      double difference = data.getAtIndex(JAVA_FLOAT, i);
      if (anchor != null) {
        difference -= anchor.getAtIndex(JAVA_FLOAT, i);
      }
      sum += difference * difference;
    }
    return sum;
  }
}
