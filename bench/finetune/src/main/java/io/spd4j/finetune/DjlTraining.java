package io.spd4j.finetune;

import ai.djl.Device;
import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Block;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.GradientCollector;
import ai.djl.training.Trainer;
import ai.djl.training.loss.Loss;
import ai.djl.training.optimizer.Optimizer;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.minilm.Batch;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.MiniLmBlock;
import io.spd4j.finetune.minilm.Weights;
import java.util.List;
import java.util.function.Function;

/** A DJL trainer of {@link MiniLmBlock}. */
final class DjlTraining implements AutoCloseable {
  private static final String ENGINE = "PyTorch";

  private final Model model;
  private final Trainer trainer;

  /**
   * @param weights the tensors of the encoder and of the head, which are copied
   * @param optimizer makes the optimizer for the block
   */
  DjlTraining(Config config, Weights weights, Function<Block, Optimizer> optimizer) {
    model = Model.newInstance("MiniLM", Device.cpu(), ENGINE);
    model.setBlock(new MiniLmBlock(config, weights, model.getNDManager()));
    trainer =
        model.newTrainer(
            new DefaultTrainingConfig(Loss.softmaxCrossEntropyLoss())
                .optDevices(new Device[] {Device.cpu()})
                .optOptimizer(optimizer.apply(model.getBlock())));
    trainer.initialize(new Shape(1, config.positions()), new Shape(1, config.positions()));
  }

  /**
   * Loads PyTorch.
   *
   * @throws Failure if it is not on the class path or cannot be loaded
   */
  static void checkEngine() throws Failure {
    System.setProperty("ai.djl.offline", "true"); // nothing is fetched or reported
    try {
      Engine.getEngine(ENGINE);
    } catch (IllegalArgumentException | EngineException | LinkageError e) {
      throw Failure.ofInput(
          "DJL cannot use PyTorch, which `make djl` puts on the class path: " + e.getMessage());
    }
  }

  Block block() {
    return model.getBlock();
  }

  Trainer trainer() {
    return trainer;
  }

  /** Returns the batch's loss and adds its gradients to those of the parameters. */
  float backward(List<Example> examples) {
    try (NDScope scope = new NDScope();
        NDManager manager = trainer.getManager().newSubManager();
        GradientCollector collector = trainer.newGradientCollector()) {
      scope.suppressNotUsedWarning();
      NDList logits = trainer.forward(inputs(manager, Tokens.batch(examples)));
      NDArray labels = manager.create(Tokens.labels(examples));
      NDArray loss = trainer.getLoss().evaluate(new NDList(labels), logits);
      collector.backward(loss);
      return loss.getFloat();
    }
  }

  /** Returns the number of examples that are classified correctly. */
  int correct(List<Example> examples) {
    try (NDScope scope = new NDScope();
        NDManager manager = trainer.getManager().newSubManager()) {
      scope.suppressNotUsedWarning();
      NDArray logits = trainer.evaluate(inputs(manager, Tokens.batch(examples))).head();
      long[] predicted = logits.argMax(1).toLongArray();
      int correct = 0;
      for (int i = 0; i < predicted.length; i++) {
        correct += predicted[i] == examples.get(i).label() ? 1 : 0;
      }
      return correct;
    }
  }

  static NDList inputs(NDManager manager, Batch batch) {
    int length = batch.length();
    long[] ids = new long[batch.ids().length];
    float[] mask = new float[ids.length];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = batch.ids()[i];
      mask[i] = i % length < batch.lengths()[i / length] ? 1 : 0;
    }
    Shape shape = new Shape(batch.size(), length);
    return new NDList(manager.create(ids, shape), manager.create(mask, shape));
  }

  @Override
  public void close() {
    trainer.close();
    model.close();
  }
}
