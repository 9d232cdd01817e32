package io.spd4j.djl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.Model;
import ai.djl.ndarray.NDArray;
import ai.djl.nn.Parameter;
import ai.djl.training.tracker.Tracker;
import ai.djl.util.Pair;
import io.spd4j.DecayRule;
import io.spd4j.MomentType;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.WeightDecay;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** One clipped step of all parameters of a block. */
class StepClippedTest {
  private static final double MAX_NORM = 0.1;

  private final SplittableRandom random = new SplittableRandom(7);

  private static DecayRule rule(String name) {
    return name.startsWith("04") ? new WeightDecay(0.01) : new SelectiveProjectionDecay(1);
  }

  private static SpdOptimizer optimizer(Model model, float lr) {
    return SpdOptimizer.builder()
        .block(model.getBlock())
        .rule(StepClippedTest::rule)
        .betas(0.8, 0.99)
        .eps(1e-7)
        .optLearningRateTracker(Tracker.fixed(lr))
        .build();
  }

  private static Map<String, NDArray> weights(Model model, PlainRun plain) {
    Map<String, NDArray> weights = new LinkedHashMap<>();
    for (Pair<String, Parameter> p : model.getBlock().getParameters()) {
      weights.put(p.getKey(), p.getValue().getArray());
      plain.add(p.getKey(), p.getValue().getArray(), rule(p.getKey()), MomentType.FLOAT32);
    }
    return weights;
  }

  private void backward(Model model) {
    Networks.backward(model, Networks.examples(model.getNDManager(), random, 16));
  }

  private static void assertSame(Map<String, NDArray> weights, PlainRun plain) {
    weights.forEach((name, weight) -> {
      assertThat(Arrays.bytes(weight)).as(name).isEqualTo(plain.bytes(name));
      assertThat(weight.getGradient().toFloatArray()).as(name).containsOnly(0);
    });
  }

  @Test
  void theBitsAreThoseOfSpd4j() {
    try (Model model = Networks.model(1);
        PlainRun plain = new PlainRun(0);
        SpdOptimizer optimizer = optimizer(model, 0.02f)) {
      Map<String, NDArray> weights = weights(model, plain);
      for (int step = 0; step < 6; step++) {
        backward(model);
        weights.forEach((name, weight) -> plain.prepare(name, weight.getGradient(), 0.02f));
        double norm = optimizer.stepClipped(MAX_NORM);
        assertThat(norm).isEqualTo(plain.adam().stepClipped(MAX_NORM)).isGreaterThan(MAX_NORM);
        assertSame(weights, plain);
      }
      assertThat(optimizer.spdReports()).isEqualTo(plain.adam().spdReports()).hasSize(4);
    }
  }

  @Test
  void itMixesWithUpdatesOfSingleParametersAndFreezing() {
    try (Model model = Networks.model(2);
        PlainRun plain = new PlainRun(0);
        SpdOptimizer optimizer = optimizer(model, 0.02f)) {
      Map<String, NDArray> weights = weights(model, plain);
      Parameter frozen = model.getBlock().getParameters().get("01Linear_weight");
      for (int step = 0; step < 9; step++) {
        backward(model);
        frozen.freeze(step / 3 % 2 == 1);
        weights.forEach((name, weight) -> plain.prepare(name, gradient(weight), 0.02f));
        if (!frozen.requiresGradient()) {
          plain.parameter("01Linear_weight").gradient(null);
        }
        if (step % 3 == 1) {
          for (Pair<String, Parameter> p : model.getBlock().getParameters()) {
            if (p.getValue().requiresGradient()) {
              NDArray weight = p.getValue().getArray();
              optimizer.update(p.getValue().getId(), weight, weight.getGradient().duplicate());
              plain.adam().stepParameter(plain.parameter(p.getKey()));
            }
          }
        } else {
          assertThat(optimizer.stepClipped(MAX_NORM)).isEqualTo(plain.adam().stepClipped(MAX_NORM));
        }
        weights.forEach((name, weight) ->
            assertThat(Arrays.bytes(weight)).as(name).isEqualTo(plain.bytes(name)));
        frozen.freeze(false);
      }
      assertThat(plain.parameter("01Linear_weight").step()).isEqualTo(6);
      assertThat(optimizer.spdReport("01Linear_weight").orElseThrow().step()).isEqualTo(6);
    }
  }

  private static NDArray gradient(NDArray weight) {
    return weight.hasGradient() ? weight.getGradient() : weight.zerosLike();
  }

  @Test
  void aStepWithANanIsSkipped() {
    try (Model model = Networks.model(3);
        PlainRun plain = new PlainRun(0);
        SpdOptimizer optimizer = optimizer(model, 0.02f)) {
      Map<String, NDArray> weights = weights(model, plain);
      for (int step = 0; step < 3; step++) {
        backward(model);
        if (step == 1) {
          weights.get("04Linear_bias").getGradient().muli(Float.NaN);
          assertThat(optimizer.stepClipped(1)).isNaN();
        } else {
          weights.forEach((name, weight) -> plain.prepare(name, weight.getGradient(), 0.02f));
          assertThat(optimizer.stepClipped(1)).isEqualTo(plain.adam().stepClipped(1));
        }
        assertSame(weights, plain);
      }
      assertThat(optimizer.spdReports()).allMatch(report -> report.step() == 2);
    }
  }

  /** The schedule goes on at the largest count of updates, which a skipped step does not change. */
  @Test
  void aSkippedStepDoesNotCount() {
    List<Integer> counts = new ArrayList<>();
    try (Model model = Networks.model(4);
        SpdOptimizer optimizer =
            SpdOptimizer.builder()
                .block(model.getBlock())
                .optLearningRateTracker((id, count) -> {
                  counts.add(count);
                  return 0.01f;
                })
                .build()) {
      backward(model);
      for (String name : List.of("01Linear_weight", "01Linear_weight", "NaN", "04Linear_bias")) {
        counts.clear();
        if (name.equals("NaN")) {
          Parameter p = model.getBlock().getParameters().get("04Linear_bias");
          p.getArray().getGradient().addi(Float.NaN);
          assertThat(optimizer.stepClipped(1)).isNaN();
        } else {
          Parameter p = model.getBlock().getParameters().get(name);
          optimizer.update(p.getId(), p.getArray(), p.getArray().getGradient().duplicate());
        }
      }
      assertThat(counts).containsExactly(2);
    }
  }

  @Test
  void whatCannotBeSteppedIsRefused() {
    try (Model model = Model.newInstance("late", "PyTorch")) {
      model.setBlock(Networks.block());
      try (SpdOptimizer optimizer = optimizer(model, 0.02f)) {
        assertThatThrownBy(() -> optimizer.stepClipped(1))
            .isInstanceOf(IllegalStateException.class)
            .hasMessage("01Linear_weight is not initialized");
        Networks.initialize(model.getBlock(), model.getNDManager(), 1);
        model.getBlock().freezeParameters(true);
        assertThatThrownBy(() -> optimizer.stepClipped(1))
            .isInstanceOf(IllegalStateException.class)
            .hasMessage("no parameter of the block requires a gradient");
        model.getBlock().freezeParameters(false);
        NDArray weight = model.getBlock().getParameters().get("01Linear_weight").getArray();
        byte[] before = Arrays.bytes(weight);
        backward(model);
        model.getBlock().getParameters().get("04Linear_bias").getArray().close();
        assertThatThrownBy(() -> optimizer.stepClipped(1))
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("released");
        assertThat(Arrays.bytes(weight)).isEqualTo(before);
      }
    }
  }
}
