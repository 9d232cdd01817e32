package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Changes far smaller than the distance of neighbours add up to the right amount on average.
 * Rounded to nearest, nothing would move. The seeds are fixed, so that nothing here is left to
 * chance; the bounds are five standard deviations.
 */
class NoStallTest {
  private static final int NUMEL = 4096;
  private static final int STEPS = 10_000;

  @AutoClose private final Arena arena = Arena.ofShared();

  /** Allocates elements that all have one value, which the type holds. */
  private MemorySegment all(ElementType type, double value) {
    MemorySegment array = arena.allocate((long) NUMEL * type.byteSize(), 64);
    for (long i = 0; i < NUMEL; i++) {
      Tensors.set(array, type, i, (float) value);
    }
    assertThat((double) Tensors.get(array, type, 0)).isEqualTo(value);
    return array;
  }

  private static void step(ParameterGroup group, int steps) {
    try (Adam adam = Adam.builder().seed(1).group(group).build()) {
      for (int step = 0; step < steps; step++) {
        adam.step();
      }
    }
  }

  /**
   * Asserts that the elements' mean is as expected and that they deviate from it by as much as if
   * each were rounded on its own.
   *
   * @param spacing the distance of neighbours
   * @param moves how often an element moves to its neighbour on average
   * @param least the least that the deviation may be, as a fraction of that of a free walk
   */
  private static void assertMean(
      Parameter p, double expected, double spacing, double moves, double least) {
    double sum = 0;
    double squares = 0;
    for (long i = 0; i < NUMEL; i++) {
      double difference = Tensors.get(p.data(), p.type(), i) - expected;
      sum += difference;
      squares += difference * difference;
    }
    double walk = spacing * Math.sqrt(moves);
    double bound = 5 * walk / Math.sqrt(NUMEL);
    assertThat(sum / NUMEL).isBetween(-bound, bound);
    assertThat(Math.sqrt(squares / NUMEL)).isBetween(least * walk, 1.1 * walk);
  }

  /** An update is 1/1024 of the distance of neighbours. */
  @ParameterizedTest
  @CsvSource({
    "BFLOAT16, 1.5, 0x1p-7",
    "BFLOAT16, -1.5, 0x1p-7",
    "BFLOAT16, 0x1.8p-126, 0x1p-133",
    "FLOAT16, 1.5, 0x1p-10",
    "FLOAT16, -0x1.8p-10, 0x1p-20",
    "FLOAT16, 0x1.8p-16, 0x1p-24", // subnormal
  })
  void aThousandthOfAStepMovesTheMean(ElementType type, double start, double spacing) {
    double update = spacing / 1024;
    for (float sign : new float[] {1, -1}) {
      Parameter p =
          Parameter.builder("p", all(type, start), type)
              .gradient(all(ElementType.FLOAT32, sign))
              .build();
      // Under a constant gradient g, Adam's update is the learning rate times the sign of g.
      step(ParameterGroup.builder().lr(update).eps(0).parameter(p).build(), STEPS);
      double moves = STEPS / 1024.0;
      assertMean(p, start - sign * STEPS * update, spacing, moves, 0.9);
    }
  }

  /** There is no gradient. A step changes a parameter by 1/341 of the distance or less. */
  @ParameterizedTest
  @CsvSource({"BFLOAT16, 0x1p-16, 0x1p-7", "FLOAT16, 0x1p-19, 0x1p-10"})
  void decayAloneMovesTheMean(ElementType type, double pull, double spacing) {
    double kept = Math.pow(1 - pull, STEPS);
    for (DecayRule rule : new DecayRule[] {new WeightDecay(1), new L2SP(1), new CautiousDecay(1)}) {
      double anchor = rule instanceof L2SP ? -1.5 : 0;
      Parameter p =
          Parameter.builder("p", all(type, 1.5), type)
              .gradient(all(ElementType.FLOAT32, 0))
              .anchor(anchor == 0 ? null : all(ElementType.BFLOAT16, anchor), ElementType.BFLOAT16)
              .build();
      step(ParameterGroup.builder().lr(pull).decay(rule).parameter(p).build(), STEPS);
      double expected = anchor + (1.5 - anchor) * kept;
      // Decay pulls a walk back that has gone far.
      assertMean(p, expected, spacing, (1.5 - expected) / spacing, 0.7);
    }
  }

  /**
   * The second moments approach new gradients, though a step changes them by less than the distance
   * of neighbours. Gradients of a group differ by a factor of up to 16, their squares by 256.
   */
  @ParameterizedTest
  @EnumSource
  void secondMomentsFollowTheGradients(MomentType moments) {
    int numel = 1 << 16;
    int steps = 400;
    double beta2 = 0.99;
    MemorySegment data = arena.allocate(4L * numel, 64);
    MemorySegment gradient = arena.allocate(4L * numel, 64);
    Parameter p = Parameter.builder("p", data).gradient(gradient).momentType(moments).build();
    ParameterGroup group = ParameterGroup.builder().betas(0.9, beta2).parameter(p).build();
    double[] exact = new double[numel];
    SplittableRandom random = new SplittableRandom(4);
    try (Adam adam = Adam.builder().group(group).build()) {
      for (int phase = 0; phase < 3; phase++) {
        double old = Math.pow(beta2, steps);
        for (int i = 0; i < numel; i++) {
          float g = (float) Math.pow(2, random.nextDouble(-2, 2));
          Tensors.set(gradient, ElementType.FLOAT32, i, g);
          exact[i] = old * exact[i] + (1 - old) * g * g;
        }
        for (int step = 0; step < steps; step++) {
          adam.step();
        }
        double sum = 0;
        for (int i = 0; i < numel; i++) {
          sum += StoredMoments.second(p, i) / exact[i];
        }
        // The deviation of v is about 0.13; 8-bit elements of a group of 64 share their draws.
        assertThat(sum / numel).as("phase %d", phase).isBetween(0.98, 1.02);
      }
    }
  }
}
