package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.finetune.minilm.Lora;
import io.spd4j.finetune.minilm.Weight;
import io.spd4j.finetune.report.TensorName;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * The parameters of a layer, which are frozen, stopped and reported together.
 *
 * @param name embeddings, layer0 and so on, head
 * @param depth -1 for the embeddings, 0 and up for the encoder's layers, then the head
 * @param lr the learning rate before the schedule's factor
 * @param adapters A and B of each adapter in turn; empty if the weights themselves are trained
 */
record LayerGroup(String name, int depth, double lr, ParameterGroup group, List<Weight> adapters) {
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
    for (int i = 0; i < adapters.size(); i += 2) {
      sum += Lora.squaredNorm(adapters.get(i), adapters.get(i + 1));
    }
    if (!adapters.isEmpty()) {
      return sum;
    }
    for (Parameter parameter : group.parameters()) {
      sum += squaredDeviation(parameter.data(), parameter.anchor());
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
