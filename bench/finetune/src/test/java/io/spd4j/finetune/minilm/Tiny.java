package io.spd4j.finetune.minilm;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Function;

/** Encoders with random weights, small enough for exhaustive tests. */
public final class Tiny {
  public static final Config CONFIG = new Config(13, 16, 8, 2, 12, 2);

  private Tiny() {}

  /**
   * Returns an encoder's weights, with which attention is far from uniform and every bias matters.
   */
  public static Weights encoder(Arena arena, Config config, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Weight> weights =
        Weights.shapes(config).entrySet().stream()
            .map(shape -> Weight.zeros(arena, shape.getKey(), shape.getValue(), false))
            .toList();
    weights.forEach(weight -> fill(weight, random));
    return new Weights(weights);
  }

  /** Returns weights of a model that predicts hidden tokens, with gradients. */
  static Weights maskedModel(Arena arena, Config config, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    Weights weights = MaskedLanguageModel.weights(arena, config, random);
    weights.all().forEach(weight -> fill(weight, random));
    return weights;
  }

  private static void fill(Weight weight, SplittableRandom random) {
    boolean scale = weight.name().endsWith("LayerNorm.weight");
    double spread = scale ? 0.2 : weight.shape().size() == 1 ? 0.3 : 0.5;
    fill(weight, random, scale ? 1 : 0, spread);
  }

  /** Returns an encoder's weights and a head for two classes, with gradients if trainable. */
  static Weights classifier(Arena arena, Config config, long seed, boolean trainable) {
    SplittableRandom random = new SplittableRandom(seed);
    return encoder(arena, config, seed)
        .copy(arena, trainable)
        .with(Classifier.head(arena, config, 2, random));
  }

  /** Returns adapters whose B is not zero. */
  static List<Weight> adapters(Arena arena, Config config, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Weight> adapters = Lora.create(arena, config, 2, random);
    adapters.forEach(weight -> fill(weight, random, 0, 0.5));
    return adapters;
  }

  private static void fill(Weight weight, SplittableRandom random, double mean, double spread) {
    for (long i = 0; i < weight.numel(); i++) {
      weight.data().setAtIndex(JAVA_FLOAT, i, (float) random.nextGaussian(mean, spread));
    }
  }

  /** Returns copies of the values by name, as lists whose equals compares bits. */
  public static Map<String, List<Float>> values(Weights weights) {
    return copy(weights, Weight::data);
  }

  /** Returns copies of all gradients by name. */
  static Map<String, List<Float>> gradients(Weights weights) {
    return copy(weights, Weight::gradient);
  }

  private static Map<String, List<Float>> copy(
      Weights weights, Function<Weight, MemorySegment> part) {
    Map<String, List<Float>> copy = new LinkedHashMap<>();
    for (Weight weight : weights.all()) {
      if (part.apply(weight) != null) {
        copy.put(weight.name(), floats(part.apply(weight)));
      }
    }
    return copy;
  }

  /** Returns a copy of a segment's floats. */
  static List<Float> floats(MemorySegment segment) {
    return segment.elements(JAVA_FLOAT).map(f -> f.get(JAVA_FLOAT, 0)).toList();
  }
}
