package it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Activation;
import ai.djl.nn.SequentialBlock;
import ai.djl.nn.core.Linear;
import ai.djl.training.DefaultTrainingConfig;
import ai.djl.training.EasyTrain;
import ai.djl.training.Trainer;
import ai.djl.training.dataset.ArrayDataset;
import ai.djl.training.dataset.Batch;
import ai.djl.training.loss.Loss;
import ai.djl.training.tracker.Tracker;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.WeightDecay;
import io.spd4j.djl.SpdOptimizer;
import org.junit.jupiter.api.Test;

class TrainingTest {
  @Test
  void trains() throws Exception {
    try (Model model = Model.newInstance("network");
        NDManager manager = NDManager.newBaseManager()) {
      manager.getEngine().setRandomSeed(1);
      model.setBlock(
          new SequentialBlock()
              .add(Linear.builder().setUnits(16).build())
              .add(Activation::tanh)
              .add(Linear.builder().setUnits(1).build()));
      NDArray x = manager.randomUniform(-1, 1, new Shape(512, 4));
      NDArray y = x.prod(new int[] {1}, true).add(x.sum(new int[] {1}, true));
      ArrayDataset dataset =
          new ArrayDataset.Builder().setData(x).optLabels(y).setSampling(32, false).build();
      try (SpdOptimizer optimizer =
              SpdOptimizer.builder()
                  .block(model.getBlock())
                  .rule(name ->
                      name.startsWith("03")
                          ? new WeightDecay(0.01)
                          : new SelectiveProjectionDecay(1))
                  .optLearningRateTracker(Tracker.fixed(0.01f))
                  .build();
          Trainer trainer =
              model.newTrainer(new DefaultTrainingConfig(Loss.l2Loss()).optOptimizer(optimizer))) {
        trainer.initialize(new Shape(32, 4));
        float before = loss(trainer, x, y);
        EasyTrain.fit(trainer, 4, dataset, null);
        for (Batch batch : trainer.iterateDataset(dataset)) {
          EasyTrain.trainBatch(trainer, batch);
          assertTrue(Double.isFinite(optimizer.stepClipped(1.0)));
          batch.close();
        }
        float after = loss(trainer, x, y);
        assertTrue(after < 0.5f * before, before + " to " + after);
        assertEquals(5 * 16, optimizer.spdReport("01Linear_weight").orElseThrow().step());
        assertEquals(2, optimizer.spdReports().size());
        System.out.println("loss " + before + " to " + after + ", " + optimizer.spdReports());
      }
    }
  }

  private static float loss(Trainer trainer, NDArray x, NDArray y) {
    var output = trainer.evaluate(new ai.djl.ndarray.NDList(x));
    return trainer.getLoss().evaluate(new ai.djl.ndarray.NDList(y), output).getFloat();
  }
}
