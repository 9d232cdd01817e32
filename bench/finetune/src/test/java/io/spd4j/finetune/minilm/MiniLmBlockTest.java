package io.spd4j.finetune.minilm;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.nn.Parameter;
import ai.djl.training.GradientCollector;
import ai.djl.training.ParameterStore;
import ai.djl.training.loss.Loss;
import ai.djl.util.Pair;
import io.spd4j.onednn.OneDnn;
import java.lang.foreign.Arena;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The DJL block computes what {@link Classifier} computes with oneDNN. */
class MiniLmBlockTest {
  private static final List<int[]> TEXTS =
      List.of(new int[] {1, 5, 7, 2, 9, 4}, new int[] {3, 12, 8}, new int[] {6});
  private static final int[] LABELS = {1, 0, 1};

  @Test
  void lossAndGradientsAreThoseOfTheClassifier() {
    Batch batch = Batch.of(TEXTS, 8);
    try (Arena arena = Arena.ofShared();
        OneDnn dnn = OneDnn.open(1);
        NDManager manager = NDManager.newBaseManager(Device.cpu(), "PyTorch")) {
      Weights weights = Tiny.classifier(arena, Tiny.CONFIG, 3, true);
      Classifier classifier = new Classifier(dnn, Tiny.CONFIG, weights, 3, 8, arena);
      double expected = classifier.lossAndGradients(batch, LABELS, -1);

      MiniLmBlock block = new MiniLmBlock(Tiny.CONFIG, weights, manager);
      block.initialize(manager, DataType.FLOAT32, new Shape(3, 8), new Shape(3, 8));
      float[] mask = new float[24];
      long[] ids = new long[24];
      for (int i = 0; i < 24; i++) {
        ids[i] = batch.ids()[i];
        mask[i] = i % 8 < batch.lengths()[i / 8] ? 1 : 0;
      }
      Shape shape = new Shape(3, 8);
      NDList inputs = new NDList(manager.create(ids, shape), manager.create(mask, shape));
      try (GradientCollector collector = manager.getEngine().newGradientCollector()) {
        NDList logits = block.forward(new ParameterStore(manager, false), inputs, true);
        NDArray loss =
            Loss.softmaxCrossEntropyLoss().evaluate(new NDList(manager.create(LABELS)), logits);
        collector.backward(loss);
        assertThat((double) loss.getFloat()).isCloseTo(expected, within(1e-5));
      }
      assertThat(block.getParameters().keys())
          .containsExactlyElementsOf(weights.all().stream().map(Weight::name).toList());
      for (Pair<String, Parameter> p : block.getParameters()) {
        float[] actual = p.getValue().getArray().getGradient().toFloatArray();
        float[] gradient = weights.get(p.getKey()).gradient().toArray(JAVA_FLOAT);
        assertThat(actual).as(p.getKey()).hasSameSizeAs(gradient);
        for (int i = 0; i < actual.length; i++) {
          assertThat(actual[i]).as(p.getKey()).isCloseTo(gradient[i], within(2e-5f));
        }
      }
      assertThat(block.getParameters().get("head.weight").getArray().getGradient().toFloatArray())
          .doesNotContain(0f);
    }
  }
}
