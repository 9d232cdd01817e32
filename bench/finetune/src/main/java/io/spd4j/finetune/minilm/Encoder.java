package io.spd4j.finetune.minilm;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.ElementType;
import io.spd4j.onednn.Layout;
import io.spd4j.onednn.MatMul;
import io.spd4j.onednn.MathMode;
import io.spd4j.onednn.OneDnn;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;

/**
 * BERT's encoder: each token becomes its last hidden state, or, with mean pooling, each sequence
 * the mean of its tokens' last hidden states. Handles one batch at a time: a backward pass belongs
 * to the last forward pass. Confined to the thread that opened its OneDnn.
 */
public final class Encoder {
  /** Added to the scores of padding, so that its probability becomes exactly 0. */
  private static final float MASKED = -1e30f;

  private final OneDnn dnn;
  private final Config config;
  private final Buffers buffers;
  private final Embeddings embeddings;
  private final List<EncoderLayer> layers = new ArrayList<>();

  /** The input of each layer, then the output of the last layer. */
  private final List<Operand> hidden = new ArrayList<>();

  private final MemorySegment mask;
  private final MemorySegment pooling;
  private final Operand gradient;

  /**
   * @param weights the tensors of {@link Weights#shapes}, and adapters if there are any; the
   *     backward pass writes their gradients
   * @param maxSize the largest number of sequences of a batch
   * @param maxLength the longest sequence, including padding; at most the config's positions
   * @param arena the arena of the activations
   */
  public Encoder(
      OneDnn dnn, Config config, Weights weights, int maxSize, int maxLength, Arena arena) {
    this(dnn, config, weights, maxSize, maxLength, arena, operands(dnn.math()));
  }

  /**
   * Returns the type of what products read: bfloat16 if they are to be computed so and the
   * processor has instructions for it. Without them float32, which a product rounds itself if it
   * can.
   */
  public static ElementType operands(MathMode math) {
    return math != MathMode.FLOAT32 && OneDnn.autoMath().mode() == MathMode.BF16
        ? ElementType.BFLOAT16
        : ElementType.FLOAT32;
  }

  /**
   * @param operands the type of what products read, float32 or bfloat16
   */
  Encoder(
      OneDnn dnn,
      Config config,
      Weights weights,
      int maxSize,
      int maxLength,
      Arena arena,
      ElementType operands) {
    if (maxLength > config.positions()) {
      throw new IllegalArgumentException(
          "sequences have %d tokens, but the model has %d positions"
              .formatted(maxLength, config.positions()));
    }
    this.dnn = dnn;
    this.config = config;
    buffers = new Buffers(dnn, arena, operands, (long) maxSize * maxLength, maxSize, maxLength);
    embeddings = new Embeddings(dnn, config, weights, buffers);
    EncoderLayer.Gradients gradients = new EncoderLayer.Gradients(config, buffers);
    hidden.add(buffers.operand(config.hidden()));
    for (int i = 0; i < config.layers(); i++) {
      layers.add(new EncoderLayer(config, weights, i, buffers, gradients));
      hidden.add(buffers.operand(config.hidden()));
    }
    mask = buffers.tokens(1);
    pooling = buffers.tokens(1);
    gradient = buffers.operand(config.hidden());
  }

  /**
   * Encodes the sequences of a batch.
   *
   * @param pooled [size, hidden]
   */
  public void forward(Batch batch, MemorySegment pooled) {
    MemorySegment states = forward(batch);
    pool(batch).forward(pooling, states, pooled);
  }

  /**
   * Encodes the tokens of a batch.
   *
   * @return [size, length, hidden], overwritten by the next call
   */
  MemorySegment forward(Batch batch) {
    check(batch);
    for (int row = 0; row < batch.rows(); row++) {
      int length = batch.lengths()[row / batch.length()];
      boolean token = row % batch.length() < length;
      mask.setAtIndex(JAVA_FLOAT, row, token ? 0 : MASKED);
      pooling.setAtIndex(JAVA_FLOAT, row, token ? 1f / length : 0);
    }
    EncoderLayer.Ops ops = EncoderLayer.Ops.of(buffers, config, batch);
    embeddings.forward(batch, hidden.getFirst().floats());
    hidden.getFirst().written(ops.hiddenCount());
    for (int i = 0; i < layers.size(); i++) {
      layers.get(i).forward(ops, hidden.get(i), mask, hidden.get(i + 1));
    }
    return hidden.getLast().floats();
  }

  private void check(Batch batch) {
    if (batch.size() > buffers.sequences() || batch.length() > buffers.length()) {
      throw new IllegalArgumentException(
          "the batch has %d sequences of %d tokens, but there is memory for %d of %d"
              .formatted(batch.size(), batch.length(), buffers.sequences(), buffers.length()));
    }
    for (int id : batch.ids()) {
      if (id < 0 || id >= config.vocabulary()) {
        throw new IllegalArgumentException("token " + id + " is not in the vocabulary");
      }
    }
  }

  /** Computes the mean as a product with each token's weight. */
  private MatMul pool(Batch batch) {
    long size = batch.size();
    long length = batch.length();
    return dnn.matMul(
        Layout.rowMajor(size, 1, length),
        Layout.rowMajor(size, length, config.hidden()),
        Layout.rowMajor(size, 1, config.hidden()));
  }

  /**
   * Computes the gradients of the weights from those of the sequences.
   *
   * @param batch as in the last forward pass
   * @param pooledGradient [size, hidden]
   * @param lowest the lowest layer whose gradients are computed, -1 for the embeddings; lower
   *     layers keep their gradients
   * @param done called with each layer, once its weights' gradients are written
   */
  public void backward(Batch batch, MemorySegment pooledGradient, int lowest, IntConsumer done) {
    pool(batch).backwardB(pooling, pooledGradient, gradient.floats());
    backwardStates(batch, lowest, done);
  }

  /** Returns the number of layers. */
  int depth() {
    return layers.size();
  }

  /** See {@link Classifier#gradientsChanged}. */
  void gradientsChanged() {
    embeddings.gradientsChanged();
  }

  /** Returns where {@link #backwardStates} expects the gradient of the tokens. */
  MemorySegment stateGradient() {
    return gradient.floats();
  }

  /**
   * Computes the gradients of the weights from those of the tokens, in {@link #stateGradient}
   * [size, length, hidden], which is overwritten.
   *
   * @param batch as in the last forward pass
   * @param lowest as for {@link #backward}
   * @param done as for {@link #backward}
   */
  void backwardStates(Batch batch, int lowest, IntConsumer done) {
    EncoderLayer.Ops ops = EncoderLayer.Ops.of(buffers, config, batch);
    for (int i = layers.size() - 1; i >= Math.max(0, lowest); i--) {
      layers.get(i).backward(ops, hidden.get(i), gradient);
      done.accept(i);
    }
    if (lowest < 0) {
      embeddings.backward(batch, gradient.floats());
      done.accept(-1);
    }
  }
}
