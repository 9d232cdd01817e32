package io.spd4j.finetune.minilm;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.ElementType;
import io.spd4j.onednn.OneDnn;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntConsumer;

/**
 * An encoder with a linear head on its pooled vectors. Confined to the same thread as the encoder.
 */
public final class Classifier {
  /** The prefix of the head's tensor names. */
  public static final String HEAD = "head.";

  private final Encoder encoder;
  private final Projection head;
  private final int classes;
  private final Operand pooled;
  private final MemorySegment pooledGradient;
  private final MemorySegment logits;
  private final Operand logitsGradient;

  /**
   * @param weights the tensors of the encoder, of adapters if there are any, and of the head
   * @see Encoder#Encoder
   */
  public Classifier(
      OneDnn dnn, Config config, Weights weights, int maxSize, int maxLength, Arena arena) {
    this(
        new Encoder(dnn, config, weights, maxSize, maxLength, arena),
        dnn,
        config,
        weights,
        maxSize,
        arena);
  }

  /** Uses an encoder for batches of up to maxSize sequences. */
  Classifier(
      Encoder encoder, OneDnn dnn, Config config, Weights weights, int maxSize, Arena arena) {
    this.encoder = encoder;
    Buffers buffers = new Buffers(dnn, arena, ElementType.FLOAT32, maxSize, maxSize, 1);
    head = new Projection(buffers, weights, "head");
    classes = weights.get(HEAD + "bias").shape().getFirst().intValue();
    pooled = buffers.operand(config.hidden());
    pooledGradient = buffers.tokens(config.hidden());
    logits = buffers.tokens(classes);
    logitsGradient = buffers.operand(classes);
  }

  /** Returns a new head, initialized like torch.nn.Linear. */
  public static List<Weight> head(
      Arena arena, Config config, int classes, SplittableRandom random) {
    long hidden = config.hidden();
    Weight weight = Weight.zeros(arena, HEAD + "weight", List.of((long) classes, hidden), true);
    Weight bias = Weight.zeros(arena, HEAD + "bias", List.of((long) classes), true);
    double bound = 1 / Math.sqrt(hidden);
    for (Weight w : List.of(weight, bias)) {
      for (long i = 0; i < w.numel(); i++) {
        w.data().setAtIndex(JAVA_FLOAT, i, (float) random.nextDouble(-bound, bound));
      }
    }
    return List.of(weight, bias);
  }

  /**
   * Returns the logits of a batch.
   *
   * @return [size, classes], overwritten by the next call
   */
  public MemorySegment forward(Batch batch) {
    encoder.forward(batch, pooled.floats());
    head.forward(batch.size(), pooled, logits);
    return logits;
  }

  /** Returns the class with the largest logit for each sequence; -1 if a logit is NaN. */
  public int[] predict(Batch batch) {
    forward(batch);
    int[] predicted = new int[batch.size()];
    for (int row = 0; row < predicted.length; row++) {
      float largest = Float.NEGATIVE_INFINITY;
      for (int c = 0; c < classes; c++) {
        if (Float.isNaN(logit(row, c))) {
          predicted[row] = -1;
          break;
        }
        if (logit(row, c) > largest) {
          largest = logit(row, c);
          predicted[row] = c;
        }
      }
    }
    return predicted;
  }

  /**
   * Returns the mean cross-entropy of the batch whose logits were computed last.
   *
   * @param labels a class for each sequence
   */
  public double loss(int[] labels) {
    double loss = 0;
    for (int row = 0; row < labels.length; row++) {
      loss += logOfSum(row) - logit(row, labels[row]);
    }
    return loss / labels.length;
  }

  /** Returns log Σ exp(logit) of a sequence. */
  private double logOfSum(int row) {
    double max = Double.NEGATIVE_INFINITY;
    for (int c = 0; c < classes; c++) {
      max = Math.max(max, logit(row, c));
    }
    double sum = 0;
    for (int c = 0; c < classes; c++) {
      sum += Math.exp(logit(row, c) - max);
    }
    return Math.log(sum) + max;
  }

  private float logit(int row, int c) {
    return logits.getAtIndex(JAVA_FLOAT, (long) row * classes + c);
  }

  /**
   * Runs a forward and a backward pass: computes the mean cross-entropy and writes its gradients to
   * the weights.
   *
   * @param labels a class for each sequence
   * @param lowest see {@link Encoder#backward}; the number of layers or more trains the head alone
   * @return the loss
   */
  public double lossAndGradients(Batch batch, int[] labels, int lowest) {
    return lossAndGradients(batch, labels, lowest, layer -> {});
  }

  /**
   * Runs a forward and a backward pass as {@link #lossAndGradients(Batch, int[], int)} does.
   *
   * @param done called with each layer, once its weights' gradients are written: with the number of
   *     layers for the head, then downwards, with -1 for the embeddings
   */
  public double lossAndGradients(Batch batch, int[] labels, int lowest, IntConsumer done) {
    forward(batch);
    for (int row = 0; row < batch.size(); row++) {
      double logOfSum = logOfSum(row);
      for (int c = 0; c < classes; c++) {
        double probability = Math.exp(logit(row, c) - logOfSum);
        double gradient = (probability - (c == labels[row] ? 1 : 0)) / batch.size();
        logitsGradient.floats().setAtIndex(JAVA_FLOAT, (long) row * classes + c, (float) gradient);
      }
    }
    double loss = loss(labels);
    head.backwardWeights(batch.size(), pooled, logitsGradient);
    head.backwardSource(batch.size(), logitsGradient, pooledGradient);
    done.accept(encoder.depth());
    encoder.backward(batch, pooledGradient, lowest, done);
    return loss;
  }

  /**
   * Says that the gradients were written by others since the last backward pass: the next one,
   * which adds into some rows of the word embeddings' gradient, then clears all of it before.
   */
  public void gradientsChanged() {
    encoder.gradientsChanged();
  }
}
