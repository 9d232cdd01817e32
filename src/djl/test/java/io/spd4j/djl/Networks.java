package io.spd4j.djl;

import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;
import ai.djl.nn.norm.LayerNorm;
import ai.djl.training.GradientCollector;
import ai.djl.training.ParameterStore;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.loss.Loss;
import java.util.SplittableRandom;

/** A small network, and examples of a function that it can learn. */
final class Networks {
  static final int FEATURES = 8;

  private Networks() {}

  /** Returns a block of three layers whose parameters have no arrays yet. */
  static SequentialBlock block() {
    return new SequentialBlock()
        .add(Linear.builder().setUnits(33).build())
        .add(LayerNorm.builder().build())
        .add(Activation::relu)
        .add(Linear.builder().setUnits(2).build());
  }

  /** Returns a model over that block, initialized from a seed. */
  static Model model(int seed) {
    Model model = Model.newInstance("small", "PyTorch");
    model.setBlock(block());
    initialize(model.getBlock(), model.getNDManager(), seed);
    return model;
  }

  static void initialize(ai.djl.nn.Block block, NDManager manager, int seed) {
    Engine.getEngine("PyTorch").setRandomSeed(seed);
    block.initialize(manager, ai.djl.ndarray.types.DataType.FLOAT32, new Shape(1, FEATURES));
  }

  /** Returns points, and the class that each belongs to. */
  static NDList examples(NDManager manager, SplittableRandom random, int count) {
    float[] points = new float[count * FEATURES];
    float[] classes = new float[count];
    for (int i = 0; i < count; i++) {
      double sum = 0;
      for (int j = 0; j < FEATURES; j++) {
        double x = random.nextDouble(-1, 1);
        points[i * FEATURES + j] = (float) x;
        sum += (j % 2 == 0 ? x : -x) * (j + 1);
      }
      classes[i] = sum > 0 ? 1 : 0;
    }
    return new NDList(
        manager.create(points, new Shape(count, FEATURES)),
        manager.create(classes, new Shape(count, 1)));
  }

  static ArrayDataset dataset(NDManager manager, SplittableRandom random, int count) {
    NDList examples = examples(manager, random, count);
    return new ArrayDataset.Builder()
        .setData(examples.get(0))
        .optLabels(examples.get(1))
        .setSampling(16, false)
        .build();
  }

  /** Adds the gradients of a batch's loss to the parameters' gradients; returns the loss. */
  static float backward(Model model, NDList examples) {
    ParameterStore store = new ParameterStore(model.getNDManager(), false);
    try (GradientCollector collector = model.getNDManager().getEngine().newGradientCollector()) {
      NDList output = model.getBlock().forward(store, new NDList(examples.get(0)), true);
      NDArray loss = Loss.softmaxCrossEntropyLoss().evaluate(new NDList(examples.get(1)), output);
      collector.backward(loss);
      return loss.getFloat();
    }
  }
}
