package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Settings that must give the same bits, and those that differ by a rounding. */
class IdentitiesTest {
  private static final int STEPS = 6;

  /** What stands in for θ0 of every tensor. */
  private enum Anchor {
    NONE,
    ZEROS,
    START,
    OTHER
  }

  static Stream<Kernels> kernels() {
    return AllKernels.list().stream();
  }

  private static int[][] run(Kernels kernels, DecayRule rule, double lr, Anchor anchor, int steps) {
    try (Model model = new Model(3)) {
      for (int n : new int[] {1, 100, 9000}) {
        MemorySegment data = model.array(n, 4, 1);
        Parameter.Builder builder = Parameter.builder("p" + n, data).gradient(model.array(n, 8, 1));
        MemorySegment other = model.array(n, 0, 1);
        switch (anchor) {
          case NONE -> {}
          case ZEROS -> builder.anchor(model.arena.allocate(data.byteSize(), 4));
          case START -> builder.anchor(model.arena.allocate(data.byteSize(), 4).copyFrom(data));
          case OTHER -> builder.anchor(other);
        }
        model.parameters.add(builder.build());
      }
      try (Adam adam = Adam.builder().group(lr, rule, model.parameters).kernels(kernels).build()) {
        for (int step = 0; step < steps; step++) {
          for (Parameter p : model.parameters) {
            for (long i = 0; i < p.numel(); i++) {
              float g = p.gradient().getAtIndex(JAVA_FLOAT, i);
              p.gradient().setAtIndex(JAVA_FLOAT, i, (float) Math.sin(7 * g + step));
            }
          }
          adam.step();
        }
        return Model.bits(adam.parameters());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void noAnchorIsTheOrigin(Kernels kernels) {
    for (DecayRule rule :
        List.of(new L2SP(0.3), new L2SP(0.3, true), new SelectiveProjectionDecay(1))) {
      assertThat(run(kernels, rule, 0.01, Anchor.NONE, STEPS))
          .as("%s", rule)
          .isDeepEqualTo(run(kernels, rule, 0.01, Anchor.ZEROS, STEPS));
    }
  }

  /**
   * θ − ηλ·θ and θ·(1−ηλ) round differently in general. Where ηλ is a power of two both products
   * are exact before the one rounding that both have, so there the bits are the same.
   */
  @ParameterizedTest
  @MethodSource("kernels")
  void l2spAtTheOriginIsAdamwWhereTheRoundingsCoincide(Kernels kernels) {
    assertThat(run(kernels, new L2SP(0.25), 1.0 / 64, Anchor.NONE, STEPS))
        .isDeepEqualTo(run(kernels, new WeightDecay(0.25), 1.0 / 64, Anchor.NONE, STEPS));
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void l2spAtTheOriginIsAdamwButForRoundingsElsewhere(Kernels kernels) {
    int[][] l2sp = run(kernels, new L2SP(0.3), 0.01, Anchor.NONE, STEPS);
    int[][] adamw = run(kernels, new WeightDecay(0.3), 0.01, Anchor.NONE, STEPS);
    assertThat(l2sp).isNotEqualTo(adamw);
    for (int array = 0; array < l2sp.length; array++) {
      for (int i = 0; i < l2sp[array].length; i++) {
        float a = Float.intBitsToFloat(l2sp[array][i]);
        float b = Float.intBitsToFloat(adamw[array][i]);
        assertThat(Math.abs(a - b)).isLessThanOrEqualTo(2 * STEPS * Math.ulp(1f));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void strengthZeroIsAdam(Kernels kernels) {
    int[][] adam = run(kernels, new NoDecay(), 0.01, Anchor.OTHER, STEPS);
    for (DecayRule rule :
        List.of(
            new WeightDecay(0), new L2SP(0), new L2SP(0, true), new SelectiveProjectionDecay(0))) {
      assertThat(run(kernels, rule, 0.01, Anchor.OTHER, STEPS)).as("%s", rule).isDeepEqualTo(adam);
    }
    assertThat(run(kernels, new SelectiveProjectionDecay(1), 0.01, Anchor.OTHER, STEPS))
        .isNotEqualTo(adam);
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void spdAtTheAnchorIsAdam(Kernels kernels) {
    assertThat(run(kernels, new SelectiveProjectionDecay(1), 0.01, Anchor.START, 1))
        .isDeepEqualTo(run(kernels, new NoDecay(), 0.01, Anchor.START, 1));
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void aTensorAloneIsSteppedAsAmongOthers(Kernels kernels) {
    int tensors = 30;
    int[][] together;
    try (Model model = tensors(tensors);
        Adam adam = adam(kernels, model.parameters, 3)) {
      adam.step();
      adam.step();
      together = Model.bits(model.parameters);
    }
    for (int i = 0; i < tensors; i += 7) {
      try (Model model = tensors(tensors);
          Adam adam = adam(kernels, List.of(model.parameters.get(i)), 1)) {
        adam.step();
        adam.step();
        int[][] alone = Model.bits(adam.parameters());
        for (int array = 0; array < alone.length; array++) {
          assertThat(alone[array]).isEqualTo(together[i * alone.length + array]);
        }
      }
    }
  }

  private static Model tensors(int count) {
    Model model = new Model(11);
    for (int i = 0; i < count; i++) {
      model.add("p" + i, 977L * i, 4 * i, i % 3 != 0);
    }
    return model;
  }

  private static Adam adam(Kernels kernels, List<Parameter> parameters, int threads) {
    return Adam.builder()
        .group(0.01, new SelectiveProjectionDecay(1), parameters)
        .kernels(kernels)
        .threads(threads)
        .build();
  }
}
