package io.spd4j.finetune.minilm;

import io.spd4j.ElementType;
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
  private final Operand q;
  private final Operand k;
  private final Operand v;
  private final Operand probabilities;
  private final Operand context;
  private final MemorySegment attentionSum;
  private final Operand attended;
  private final MemorySegment beforeGelu;
  private final Operand afterGelu;
  private final MemorySegment outputSum;
  private final Gradients gradients;

  /**
   * Memory that all layers share, for gradients: each layer finishes with it before the next
   * begins.
   *
   * @param scratch for values of the forward pass that nothing but products reads, until they are
   *     rounded; null if products read float32
   */
  record Gradients(
      Operand hidden,
      Operand q,
      Operand k,
      Operand v,
      Operand context,
      Operand scores,
      Operand intermediate,
      MemorySegment scratch) {
    Gradients(Config c, Buffers buffers) {
      this(
          buffers.operand(c.hidden()),
          buffers.operand(c.hidden()),
          buffers.operand(c.hidden()),
          buffers.operand(c.hidden()),
          buffers.operand(c.hidden()),
          buffers.scores(c.heads()),
          buffers.operand(c.intermediate()),
          buffers.operands() == ElementType.FLOAT32
              ? null
              : buffers.tokens(Math.max(c.hidden(), c.intermediate())));
    }
  }

  EncoderLayer(Config config, Weights weights, int index, Buffers buffers, Gradients gradients) {
    this.gradients = gradients;
    String name = Weights.layer(index);
    query = new Adapted(weights, name + QUERY, buffers);
    key = new Adapted(weights, name + KEY, buffers);
    value = new Adapted(weights, name + VALUE, buffers);
    attentionOutput = new Adapted(weights, name + ATTENTION_OUTPUT, buffers);
    attentionNorm = new Norm(weights, name + "attention.output.LayerNorm", buffers);
    intermediate = new Projection(buffers, weights, name + "intermediate.dense");
    output = new Projection(buffers, weights, name + "output.dense");
    outputNorm = new Norm(weights, name + "output.LayerNorm", buffers);
    q = buffers.operand(config.hidden(), gradients.scratch);
    k = buffers.operand(config.hidden(), gradients.scratch);
    v = buffers.operand(config.hidden(), gradients.scratch);
    probabilities = buffers.scores(config.heads());
    context = buffers.operand(config.hidden(), gradients.scratch);
    attentionSum = buffers.tokens(config.hidden());
    attended = buffers.operand(config.hidden());
    beforeGelu = buffers.tokens(config.intermediate());
    afterGelu = buffers.operand(config.intermediate(), gradients.scratch);
    outputSum = buffers.tokens(config.hidden());
  }

  /** The operations for a batch's shape, shared by all layers. */
  record Ops(
      Config config,
      long rows,
      long length,
      LayerNorm norm,
      MatMul scores,
      Softmax softmax,
      MatMul context,
      Gelu gelu) {
    static Ops of(Buffers buffers, Config config, Batch batch) {
      OneDnn dnn = buffers.dnn();
      long size = batch.size();
      long length = batch.length();
      long heads = config.heads();
      // The heads lie side by side in a token's row; the products treat them as a batch.
      Layout tokens = Layout.rowMajor(size, length, heads, config.headSize()).permute(0, 2, 1, 3);
      Layout scores = Layout.rowMajor(size, heads, length, length);
      return new Ops(
          config,
          batch.rows(),
          length,
          dnn.layerNorm(batch.rows(), config.hidden(), Config.EPSILON),
          dnn.matMul(
              tokens,
              tokens.transpose(),
              scores,
              (float) (1 / Math.sqrt(config.headSize())),
              Layout.rowMajor(size, 1, 1, length),
              buffers.operands()),
          dnn.softmax(size * heads * length, length),
          dnn.matMul(scores, tokens, tokens, 1, null, buffers.operands()),
          dnn.gelu((long) batch.rows() * config.intermediate()));
    }

    /** Returns the number of elements of a matrix of hidden states. */
    long hiddenCount() {
      return rows * config.hidden();
    }

    long intermediateCount() {
      return rows * config.intermediate();
    }

    /** Returns the number of attention scores. */
    long scoreCount() {
      return rows * config.heads() * length;
    }
  }

  /**
   * @param mask [size, length], added to the scores: 0 for a token, a huge negative number for
   *     padding
   */
  void forward(Ops ops, Operand src, MemorySegment mask, Operand dst) {
    long rows = ops.rows;
    project(ops, query, src, q);
    project(ops, key, src, k);
    project(ops, value, src, v);
    MemorySegment scores = probabilities.floats();
    ops.scores.forward(q.read(), k.read(), mask, scores);
    ops.softmax.forward(scores, scores);
    probabilities.written(ops.scoreCount());
    ops.context.forward(probabilities.read(), v.read(), context.floats());
    context.written(ops.hiddenCount());
    attentionOutput.forwardAdd(rows, context, src.floats(), attentionSum);
    attentionNorm.forward(ops.norm, attentionSum, attended.floats());
    attended.written(ops.hiddenCount());

    intermediate.forward(rows, attended, beforeGelu);
    ops.gelu.forward(beforeGelu, afterGelu.floats());
    afterGelu.written(ops.intermediateCount());
    output.forwardAdd(rows, afterGelu, attended.floats(), outputSum);
    outputNorm.forward(ops.norm, outputSum, dst.floats());
    dst.written(ops.hiddenCount());
  }

  private static void project(Ops ops, Adapted projection, Operand src, Operand dst) {
    projection.forward(ops.rows, src, dst.floats());
    dst.written(ops.hiddenCount());
  }

  /**
   * Computes the gradients of the weights and of src.
   *
   * @param src as in the forward pass
   * @param grad the gradient of dst, which is replaced by the gradient of src; only the float32
   *     values
   */
  void backward(Ops ops, Operand src, Operand grad) {
    long rows = ops.rows;
    Operand sumGrad = gradients.hidden;
    outputNorm.backward(ops.norm, outputSum, grad.floats(), sumGrad.floats());
    sumGrad.written(ops.hiddenCount());
    output.backwardWeights(rows, afterGelu, sumGrad);
    MemorySegment geluGrad = gradients.intermediate.floats();
    output.backwardSource(rows, sumGrad, geluGrad);
    ops.gelu.backward(beforeGelu, geluGrad, geluGrad);
    gradients.intermediate.written(ops.intermediateCount());
    intermediate.backwardWeights(rows, attended, gradients.intermediate);
    intermediate.backwardSourceAdd(
        rows, gradients.intermediate, sumGrad.floats()); // adds the residual's gradient

    attentionNorm.backward(ops.norm, attentionSum, sumGrad.floats(), grad.floats());
    grad.written(ops.hiddenCount());
    attentionOutput.backward(rows, context, grad, gradients.context.floats());
    gradients.context.written(ops.hiddenCount());
    MemorySegment scores = gradients.scores.floats();
    ops.context.backwardA(gradients.context.read(), v.read(), scores);
    ops.context.backwardB(probabilities.read(), gradients.context.read(), gradients.v.floats());
    ops.softmax.backward(probabilities.floats(), scores, scores);
    gradients.scores.written(ops.scoreCount());
    ops.scores.backwardA(gradients.scores.read(), k.read(), gradients.q.floats());
    ops.scores.backwardB(q.read(), gradients.scores.read(), gradients.k.floats());
    projectBack(ops, query, src, gradients.q, grad);
    projectBack(ops, key, src, gradients.k, grad);
    projectBack(ops, value, src, gradients.v, grad);
  }

  /** Adds to the float32 values of srcGrad. */
  private static void projectBack(
      Ops ops, Adapted projection, Operand src, Operand dstGrad, Operand srcGrad) {
    dstGrad.written(ops.hiddenCount());
    projection.backwardAdd(ops.rows, src, dstGrad, srcGrad.floats());
  }
}
