package io.spd4j.finetune.minilm;

import io.spd4j.onednn.Gelu;
import io.spd4j.onednn.LayerNorm;
import io.spd4j.onednn.Layout;
import io.spd4j.onednn.MatMul;
import io.spd4j.onednn.OneDnn;
import io.spd4j.onednn.Softmax;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * A layer of BERT's encoder (Devlin et al. 2018): attention between all tokens of a sequence, then
 * a feed-forward block, each followed by a residual connection and layer normalization. Keeps what
 * its backward pass needs.
 */
final class EncoderLayer {
  private static final String QUERY = "attention.self.query";
  private static final String KEY = "attention.self.key";
  private static final String VALUE = "attention.self.value";
  private static final String ATTENTION_OUTPUT = "attention.output.dense";

  /** The linear layers that LoRA adapts. */
  static final List<String> ATTENTION_PROJECTIONS = List.of(QUERY, KEY, VALUE, ATTENTION_OUTPUT);

  private final Adapted query;
  private final Adapted key;
  private final Adapted value;
  private final Adapted attentionOutput;
  private final Norm attentionNorm;
  private final Projection intermediate;
  private final Projection output;
  private final Norm outputNorm;

  // Values that the forward pass keeps for the backward pass, a row for each token.
  private final MemorySegment q;
  private final MemorySegment k;
  private final MemorySegment v;
  private final MemorySegment probabilities;
  private final MemorySegment context;
  private final MemorySegment attentionSum;
  private final MemorySegment attended;
  private final MemorySegment beforeGelu;
  private final MemorySegment afterGelu;
  private final MemorySegment outputSum;
  private final Gradients gradients;

  /**
   * Memory for gradients that all layers share: each layer finishes with it before the next begins.
   */
  record Gradients(
      MemorySegment hidden,
      MemorySegment q,
      MemorySegment k,
      MemorySegment v,
      MemorySegment context,
      MemorySegment scores,
      MemorySegment intermediate) {
    Gradients(Config c, Buffers buffers) {
      this(
          buffers.tokens(c.hidden()),
          buffers.tokens(c.hidden()),
          buffers.tokens(c.hidden()),
          buffers.tokens(c.hidden()),
          buffers.tokens(c.hidden()),
          buffers.scores(c.heads()),
          buffers.tokens(c.intermediate()));
    }
  }

  EncoderLayer(
      OneDnn dnn, Config config, Weights weights, int index, Buffers buffers, Gradients gradients) {
    this.gradients = gradients;
    String name = Weights.layer(index);
    query = new Adapted(dnn, weights, name + QUERY, buffers);
    key = new Adapted(dnn, weights, name + KEY, buffers);
    value = new Adapted(dnn, weights, name + VALUE, buffers);
    attentionOutput = new Adapted(dnn, weights, name + ATTENTION_OUTPUT, buffers);
    attentionNorm = new Norm(weights, name + "attention.output.LayerNorm", buffers);
    intermediate = new Projection(dnn, weights, name + "intermediate.dense");
    output = new Projection(dnn, weights, name + "output.dense");
    outputNorm = new Norm(weights, name + "output.LayerNorm", buffers);
    q = buffers.tokens(config.hidden());
    k = buffers.tokens(config.hidden());
    v = buffers.tokens(config.hidden());
    probabilities = buffers.scores(config.heads());
    context = buffers.tokens(config.hidden());
    attentionSum = buffers.tokens(config.hidden());
    attended = buffers.tokens(config.hidden());
    beforeGelu = buffers.tokens(config.intermediate());
    afterGelu = buffers.tokens(config.intermediate());
    outputSum = buffers.tokens(config.hidden());
  }

  /** The operations for a batch's shape, shared by all layers. */
  record Ops(long rows, LayerNorm norm, MatMul scores, Softmax softmax, MatMul context, Gelu gelu) {
    static Ops of(OneDnn dnn, Config config, Batch batch) {
      long size = batch.size();
      long length = batch.length();
      long heads = config.heads();
      // The heads lie side by side in a token's row; the products treat them as a batch.
      Layout tokens = Layout.rowMajor(size, length, heads, config.headSize()).permute(0, 2, 1, 3);
      Layout scores = Layout.rowMajor(size, heads, length, length);
      return new Ops(
          batch.rows(),
          dnn.layerNorm(batch.rows(), config.hidden(), Config.EPSILON),
          dnn.matMul(
              tokens,
              tokens.transpose(),
              scores,
              (float) (1 / Math.sqrt(config.headSize())),
              Layout.rowMajor(size, 1, 1, length)),
          dnn.softmax(size * heads * length, length),
          dnn.matMul(scores, tokens, tokens),
          dnn.gelu((long) batch.rows() * config.intermediate()));
    }
  }

  /**
   * @param mask [size, length], added to the scores: 0 for a token, a huge negative number for
   *     padding
   */
  void forward(Ops ops, MemorySegment src, MemorySegment mask, MemorySegment dst) {
    long rows = ops.rows;
    query.forward(rows, src, q);
    key.forward(rows, src, k);
    value.forward(rows, src, v);
    ops.scores.forward(q, k, mask, probabilities);
    ops.softmax.forward(probabilities, probabilities);
    ops.context.forward(probabilities, v, context);
    attentionOutput.forwardAdd(rows, context, src, attentionSum);
    attentionNorm.forward(ops.norm, attentionSum, attended);

    intermediate.forward(rows, attended, beforeGelu);
    ops.gelu.forward(beforeGelu, afterGelu);
    output.forwardAdd(rows, afterGelu, attended, outputSum);
    outputNorm.forward(ops.norm, outputSum, dst);
  }

  /**
   * Computes the gradients of the weights and of src.
   *
   * @param src as in the forward pass
   * @param grad the gradient of dst, which is replaced by the gradient of src
   */
  void backward(Ops ops, MemorySegment src, MemorySegment grad) {
    long rows = ops.rows;
    MemorySegment sumGrad = gradients.hidden;
    outputNorm.backward(ops.norm, outputSum, grad, sumGrad);
    output.backwardWeights(rows, afterGelu, sumGrad);
    output.backwardSource(rows, sumGrad, gradients.intermediate);
    ops.gelu.backward(beforeGelu, gradients.intermediate, gradients.intermediate);
    intermediate.backwardWeights(rows, attended, gradients.intermediate);
    intermediate.backwardSourceAdd(
        rows, gradients.intermediate, sumGrad); // adds the residual's gradient

    attentionNorm.backward(ops.norm, attentionSum, sumGrad, grad);
    attentionOutput.backward(rows, context, grad, gradients.context);
    ops.context.backwardA(gradients.context, v, gradients.scores);
    ops.context.backwardB(probabilities, gradients.context, gradients.v);
    ops.softmax.backward(probabilities, gradients.scores, gradients.scores);
    ops.scores.backwardA(gradients.scores, k, gradients.q);
    ops.scores.backwardB(q, gradients.scores, gradients.k);
    query.backwardAdd(rows, src, gradients.q, grad);
    key.backwardAdd(rows, src, gradients.k, grad);
    value.backwardAdd(rows, src, gradients.v, grad);
  }
}
