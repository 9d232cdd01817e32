package io.spd4j.bench.compare;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class SampleTest {
  private static final Sample START = sample(0.5f, -0.5f);
  private static final Sample END = sample(0.51f, -0.49f);

  private static Sample sample(float... data) {
    return sample(data, new float[] {0.1f, 0.1f});
  }

  private static Sample sample(float[] data, float[] expAvg) {
    return new Sample(List.of(List.of(data, expAvg, new float[] {1e-6f, 1e-6f})));
  }

  @Test
  void theSameIsNoDifference() {
    Sample same = sample(0.51f, -0.49f);

    assertThat(same.sameBits(END)).isTrue();
    assertThat(same.difference(END, START)).isZero();
  }

  @Test
  void anotherRoundingDiffersInBitsOnly() {
    Sample rounded = sample(Math.nextUp(0.51f), -0.49f);

    assertThat(rounded.sameBits(END)).isFalse();
    assertThat(rounded.difference(END, START)).isBetween(1e-9, 1e-5);
  }

  @Test
  void isRelativeToWhatTheStepsChanged() {
    assertThat(sample(0.511f, -0.49f).difference(END, START)).isBetween(0.099, 0.101);
    assertThat(sample(0.51f, -0.491f).difference(END, START)).isBetween(0.099, 0.101);
  }

  @Test
  void looksAtTheMomentsToo() {
    Sample other = sample(new float[] {0.51f, -0.49f}, new float[] {0.1f, 0.102f});

    assertThat(other.sameBits(END)).isFalse();
    assertThat(other.difference(END, START)).isBetween(0.019, 0.021);
  }

  @Test
  void nanIsADifference() {
    assertThat(sample(Float.NaN, -0.49f).difference(END, START)).isNaN();
    assertThat(sample(-0.0f, 0).sameBits(sample(0.0f, 0))).isFalse();
  }
}
