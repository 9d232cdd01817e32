package io.spd4j.finetune.minilm;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.ndarray.types.SparseFormat;
import ai.djl.nn.AbstractBlock;
import ai.djl.nn.Activation;
import ai.djl.nn.Parameter;
import ai.djl.nn.core.Embedding;
import ai.djl.nn.core.Linear;
import ai.djl.nn.norm.LayerNorm;
import ai.djl.training.ParameterStore;
import ai.djl.util.PairList;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Map;

/**
 * The network of {@link Classifier} as a DJL block: BERT's encoder, the mean of the tokens' states,
 * and a linear head. (DJL's own BertBlock has batch normalization, so it cannot take BERT's
 * weights.) Its parameters have HuggingFace's names. The inputs are token ids and a mask, both
 * [size, length]; the output is logits, [size, classes].
 */
public final class MiniLmBlock extends AbstractBlock {
  private static final float MASKED = -1e30f;

  private final Config config;
  private final Map<String, Parameter> parameters = new HashMap<>();

  /**
   * Copies the weights.
   *
   * @param weights the tensors of the encoder and of the head
   * @param manager owns the copies
   */
  @SuppressWarnings("this-escape")
  public MiniLmBlock(Config config, Weights weights, NDManager manager) {
    this.config = config;
    for (Weight weight : weights.all()) {
      Shape shape = new Shape(weight.shape());
      Parameter.Builder builder =
          Parameter.builder().setName(weight.name()).setType(Parameter.Type.OTHER);
      try (NDArray view =
          manager.create(
              weight.data().asByteBuffer().order(ByteOrder.nativeOrder()),
              shape,
              DataType.FLOAT32)) {
        builder.optArray(view.duplicate());
      }
      parameters.put(weight.name(), addParameter(builder.build()));
    }
  }

  @Override
  public Shape[] getOutputShapes(Shape[] inputShapes) {
    long classes = parameters.get(Classifier.HEAD + "bias").getArray().size();
    return new Shape[] {new Shape(inputShapes[0].get(0), classes)};
  }

  @Override
  protected NDList forwardInternal(
      ParameterStore store, NDList inputs, boolean training, PairList<String, Object> options) {
    Pass pass = new Pass(store, inputs.get(0), inputs.get(1), training);
    return new NDList(pass.logits());
  }

  /** A forward pass. */
  private final class Pass {
    private final ParameterStore store;
    private final NDArray ids;
    private final NDArray mask;
    private final boolean training;
    private final long size;
    private final long length;
    private final NDArray scoreMask;

    Pass(ParameterStore store, NDArray ids, NDArray mask, boolean training) {
      this.store = store;
      this.ids = ids;
      this.mask = mask;
      this.training = training;
      size = ids.getShape().get(0);
      length = ids.getShape().get(1);
      scoreMask = mask.sub(1).mul(-MASKED).reshape(size, 1, 1, length);
    }

    private NDArray weight(String name) {
      return store.getValue(parameters.get(name), ids.getDevice(), training);
    }

    private NDArray linear(String name, NDArray x) {
      return Linear.linear(x, weight(name + ".weight"), weight(name + ".bias")).head();
    }

    private NDArray norm(String name, NDArray x) {
      return LayerNorm.layerNorm(
              x,
              new Shape(config.hidden()),
              weight(name + ".weight"),
              weight(name + ".bias"),
              Config.EPSILON)
          .head();
    }

    /** Splits the features by heads: [size, heads, length, features of a head]. */
    private NDArray heads(NDArray x) {
      return x.reshape(size, length, config.heads(), config.headSize()).transpose(0, 2, 1, 3);
    }

    private NDArray embeddings() {
      NDArray words =
          Embedding.embedding(ids, weight("embeddings.word_embeddings.weight"), SparseFormat.DENSE)
              .head();
      NDArray positions =
          weight("embeddings.position_embeddings.weight").get(new NDIndex("0:" + length));
      NDArray type = weight("embeddings.token_type_embeddings.weight").get(new NDIndex("0:1"));
      return norm("embeddings.LayerNorm", words.add(type).add(positions));
    }

    private NDArray layer(String layer, NDArray x) {
      NDArray query = heads(linear(layer + "attention.self.query", x));
      NDArray key = heads(linear(layer + "attention.self.key", x));
      NDArray value = heads(linear(layer + "attention.self.value", x));
      NDArray scores =
          query.matMul(key.transpose(0, 1, 3, 2)).mul((float) (1 / Math.sqrt(config.headSize())));
      NDArray context =
          scores
              .add(scoreMask)
              .softmax(-1)
              .matMul(value)
              .transpose(0, 2, 1, 3)
              .reshape(size, length, config.hidden());
      NDArray attended =
          norm(
              layer + "attention.output.LayerNorm",
              linear(layer + "attention.output.dense", context).add(x));
      NDArray inner = Activation.gelu(linear(layer + "intermediate.dense", attended));
      return norm(layer + "output.LayerNorm", linear(layer + "output.dense", inner).add(attended));
    }

    NDArray logits() {
      NDArray x = embeddings();
      for (int i = 0; i < config.layers(); i++) {
        x = layer(Weights.layer(i), x);
      }
      NDArray lengths = mask.sum(new int[] {1}, true);
      NDArray mean = x.mul(mask.expandDims(2)).sum(new int[] {1}).div(lengths);
      return linear("head", mean);
    }
  }
}
