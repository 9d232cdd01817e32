package io.spd4j.finetune.minilm;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.ElementType;
import io.spd4j.onednn.OneDnn;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * An encoder that predicts hidden tokens, with a linear layer from a hidden state to the
 * vocabulary. Confined to the same thread as the encoder.
 */
public final class MaskedLanguageModel {
  private static final String PREDICTION = "prediction";

  /** BERT's standard deviation of initial embeddings. */
  private static final double SPREAD = 0.02;

  private final OneDnn dnn;
  private final Config config;
  private final Encoder encoder;
  private final Projection prediction;
  private final Operand hidden;
  private final MemorySegment hiddenGradient;

  /** Then their gradient. */
  private final Operand probabilities;

  /**
   * @param weights as from {@link #weights}
   * @param size sequences of a batch
   * @param length tokens of a sequence
   * @param predictions hidden tokens of a batch
   * @param arena the arena of the activations
   */
  public MaskedLanguageModel(
      OneDnn dnn,
      Config config,
      Weights weights,
      int size,
      int length,
      int predictions,
      Arena arena) {
    this.dnn = dnn;
    this.config = config;
    encoder = new Encoder(dnn, config, weights, size, length, arena);
    Buffers buffers = new Buffers(dnn, arena, ElementType.FLOAT32, predictions, predictions, 1);
    prediction = new Projection(buffers, weights, PREDICTION);
    hidden = buffers.operand(config.hidden());
    hiddenGradient = buffers.tokens(config.hidden());
    probabilities = buffers.operand(config.vocabulary());
  }

  /**
   * Returns new weights. Unlike in BERT, those of the layers keep the variance of their input: a
   * model this narrow learns the use of context sooner.
   */
  public static Weights weights(Arena arena, Config config, SplittableRandom random) {
    Map<String, List<Long>> shapes = Weights.shapes(config);
    long vocabulary = config.vocabulary();
    shapes.put(PREDICTION + ".weight", List.of(vocabulary, (long) config.hidden()));
    shapes.put(PREDICTION + ".bias", List.of(vocabulary));
    List<Weight> weights = new ArrayList<>();
    shapes.forEach((name, shape) -> {
      Weight weight = Weight.zeros(arena, name, shape, true);
      boolean scale = name.endsWith("LayerNorm.weight");
      for (long i = 0; i < weight.numel() && (scale || shape.size() > 1); i++) {
        double value = scale ? 1 : random.nextGaussian(0, spread(name, shape));
        weight.data().setAtIndex(JAVA_FLOAT, i, (float) value);
      }
      weights.add(weight);
    });
    return new Weights(weights);
  }

  /** Returns the standard deviation of initial weights. */
  private static double spread(String name, List<Long> shape) {
    return name.startsWith("embeddings.") || name.startsWith(PREDICTION)
        ? SPREAD
        : 1 / Math.sqrt(shape.getLast());
  }

  /** Returns the mean cross-entropy of the predictions. */
  public double loss(MaskedText text) {
    MemorySegment states = encoder.forward(text.batch());
    int count = text.rows().length;
    for (int i = 0; i < count; i++) {
      row(hidden.floats(), i).copyFrom(row(states, text.rows()[i]));
    }
    MemorySegment logits = probabilities.floats();
    prediction.forward(count, hidden, logits);
    dnn.softmax(count, config.vocabulary()).forward(logits, logits);
    double loss = 0;
    for (int i = 0; i < count; i++) {
      float probability = logits.getAtIndex(JAVA_FLOAT, target(text, i));
      loss -= Math.log(Math.max(probability, Float.MIN_NORMAL));
    }
    return loss / count;
  }

  /** Computes the mean cross-entropy and writes its gradients to the weights. */
  public double lossAndGradients(MaskedText text) {
    double loss = loss(text);
    int count = text.rows().length;
    MemorySegment gradient = probabilities.floats(); // (p − 1 for the target) / count
    float share = 1f / count;
    for (int i = 0; i < count; i++) {
      long at = target(text, i);
      gradient.setAtIndex(JAVA_FLOAT, at, gradient.getAtIndex(JAVA_FLOAT, at) - 1);
    }
    for (long i = 0; i < (long) count * config.vocabulary(); i++) {
      gradient.setAtIndex(JAVA_FLOAT, i, gradient.getAtIndex(JAVA_FLOAT, i) * share);
    }
    prediction.backwardWeights(count, hidden, probabilities);
    prediction.backwardSource(count, probabilities, hiddenGradient);
    MemorySegment stateGradient = encoder.stateGradient();
    stateGradient.fill((byte) 0);
    for (int i = 0; i < count; i++) {
      row(stateGradient, text.rows()[i]).copyFrom(row(hiddenGradient, i));
    }
    encoder.backwardStates(text.batch(), -1, layer -> {});
    return loss;
  }

  private long target(MaskedText text, int i) {
    return (long) i * config.vocabulary() + text.targets()[i];
  }

  private MemorySegment row(MemorySegment matrix, int row) {
    long bytes = (long) config.hidden() * Float.BYTES;
    return matrix.asSlice(row * bytes, bytes);
  }
}
