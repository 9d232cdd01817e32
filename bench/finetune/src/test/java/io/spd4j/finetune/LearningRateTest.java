package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class LearningRateTest {
  private static List<Double> factors(String options) {
    TrainingOptions training = Fixtures.training(options.split(" "));
    LearningRate rate = LearningRate.of(training, training.steps);
    return IntStream.rangeClosed(1, training.steps).mapToObj(rate::factor).toList();
  }

  @Test
  void risesThenFallsTowardsZero() {
    assertThat(factors("--steps 10 --warmup 0.2"))
        .containsExactly(
            0.5, 1.0, 1.0, 7 / 8.0, 6 / 8.0, 5 / 8.0, 4 / 8.0, 3 / 8.0, 2 / 8.0, 0.125);
  }

  @Test
  void risesThenStays() {
    assertThat(factors("--steps 5 --warmup 0.4 --schedule CONSTANT"))
        .containsExactly(0.5, 1.0, 1.0, 1.0, 1.0);
  }

  @Test
  void withoutWarmUpItStartsAtTheFullRate() {
    assertThat(factors("--steps 4 --warmup 0")).containsExactly(1.0, 0.75, 0.5, 0.25);
    assertThat(factors("--steps 1 --warmup 0.1")).containsExactly(1.0);
  }

  @Test
  void nothingButWarmUp() {
    assertThat(factors("--steps 4 --warmup 1")).containsExactly(0.25, 0.5, 0.75, 1.0);
  }
}
