package io.spd4j.djl;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.training.tracker.Tracker;
import io.spd4j.CautiousDecay;
import io.spd4j.DecayRule;
import io.spd4j.L2SP;
import io.spd4j.MomentType;
import io.spd4j.NoDecay;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.SpdReport;
import io.spd4j.WeightDecay;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The optimizer gives the bits that spd4j gives without DJL, and steps in the weights' memory. */
class SameBitsTest {
  private static final Map<String, long[]> SHAPES =
      Map.of("one", new long[] {1}, "small", new long[] {3, 7}, "blocks", new long[] {3, 3001, 1});
  private static final int STEPS = 7;

  private record Case(DecayRule rule, DataType type, MomentType moments) {}

  static Stream<Arguments> cases() {
    return Stream.of(
            new Case(new NoDecay(), DataType.FLOAT32, MomentType.FLOAT32),
            new Case(new WeightDecay(0.1), DataType.FLOAT32, MomentType.FLOAT32),
            new Case(new L2SP(0.5), DataType.FLOAT32, MomentType.FLOAT32),
            new Case(new CautiousDecay(0.5), DataType.FLOAT32, MomentType.FLOAT32),
            new Case(new SelectiveProjectionDecay(1), DataType.FLOAT32, MomentType.FLOAT32),
            new Case(new SelectiveProjectionDecay(1), DataType.FLOAT16, MomentType.FLOAT32),
            new Case(new SelectiveProjectionDecay(1), DataType.FLOAT32, MomentType.BLOCKWISE_8BIT))
        .map(Arguments::of);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void updates(Case c) {
    SplittableRandom random = new SplittableRandom(1);
    Tracker lr = count -> 1e-2f / count;
    try (NDManager manager = NDManager.newBaseManager();
        PlainRun plain = new PlainRun(5);
        Warnings warnings = new Warnings();
        SpdOptimizer optimizer =
            SpdOptimizer.builder()
                .rule(c.rule)
                .betas(0.8, 0.99)
                .eps(1e-7)
                .momentType(c.moments)
                .seed(5)
                .optLearningRateTracker(lr)
                .build()) {
      List<String> names = SHAPES.keySet().stream().sorted().toList();
      Map<String, NDArray> weights = new java.util.HashMap<>();
      for (String name : names) {
        NDArray weight = Arrays.random(manager, random, c.type, SHAPES.get(name));
        weights.put(name, weight);
        plain.add(name, weight, c.rule, c.moments);
      }
      for (int step = 1; step <= STEPS; step++) {
        for (String name : names) {
          NDArray weight = weights.get(name);
          byte[] before = Arrays.bytes(weight);
          long address = Arrays.address(weight);
          try (NDArray gradient = Arrays.random(manager, random, c.type, SHAPES.get(name))) {
            plain.adam().stepParameter(plain.prepare(name, gradient, lr.getNewValue(step)));
            optimizer.update(name, weight, gradient);
          }
          assertThat(Arrays.bytes(weight)).isNotEqualTo(before).isEqualTo(plain.bytes(name));
          assertThat(Arrays.address(weight)).isEqualTo(address);
        }
      }
      assertThat(warnings.messages()).isEmpty();
      assertThat(optimizer.spdReports()).isEqualTo(plain.adam().spdReports());
      if (c.rule instanceof SelectiveProjectionDecay) {
        assertThat(optimizer.spdReports()).hasSize(3).anyMatch(SpdReport::selected);
        assertThat(optimizer.spdReport("blocks")).isPresent();
      }
    }
  }
}
