package io.spd4j;

import static io.spd4j.Optimizers.adam;
import static io.spd4j.Optimizers.group;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.EachKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/** Pairs of settings that give the same bits, or results that differ only by rounding. */
class IdentitiesTest {
  private static final int STEPS = 6;

  /** The anchor θ0 that every tensor gets. */
  private enum Anchor {
    NONE,
    ZEROS,
    START,
    OTHER
  }

  private static int[][] run(Kernels kernels, DecayRule rule, double lr, Anchor anchor, int steps) {
    try (Tensors tensors = new Tensors(3)) {
      for (int n : new int[] {1, 100, 9000}) {
        Parameter made = tensors.add("p" + n, n, 1, true);
        MemorySegment data = made.data();
        Parameter.Builder builder = Parameter.builder("p" + n, data).gradient(made.gradient());
        switch (anchor) {
          case NONE -> {}
          case ZEROS -> builder.anchor(tensors.arena.allocate(data.byteSize(), 4));
          case START -> builder.anchor(tensors.arena.allocate(data.byteSize(), 4).copyFrom(data));
          case OTHER -> builder.anchor(made.anchor());
        }
        tensors.parameters.set(tensors.parameters.size() - 1, builder.build());
      }
      try (Adam adam =
          Adam.builder().group(lr, rule, tensors.parameters).kernels(kernels).build()) {
        for (int step = 0; step < steps; step++) {
          for (Parameter p : tensors.parameters) {
            for (long i = 0; i < p.numel(); i++) {
              float g = p.gradient().getAtIndex(JAVA_FLOAT, i);
              p.gradient().setAtIndex(JAVA_FLOAT, i, (float) Math.sin(7 * g + step));
            }
          }
          adam.step();
        }
        return bits(adam.parameters());
      }
    }
  }

  @EachKernels
  void withoutAnAnchorTheOriginIsTheAnchor(Kernels kernels) {
    for (DecayRule rule : StepCase.RULES) {
      assertThat(run(kernels, rule, 0.01, Anchor.NONE, STEPS))
          .as("%s", rule)
          .isDeepEqualTo(run(kernels, rule, 0.01, Anchor.ZEROS, STEPS));
    }
  }

  /**
   * θ − ηλ·θ and θ·(1−ηλ) round differently in general. If ηλ is a power of two, each rounds only
   * once, at its end, so the bits are the same.
   */
  @EachKernels
  void l2spAtTheOriginIsAdamwWhereTheRoundingsCoincide(Kernels kernels) {
    assertThat(run(kernels, new L2SP(0.25), 1.0 / 64, Anchor.NONE, STEPS))
        .isDeepEqualTo(run(kernels, new WeightDecay(0.25), 1.0 / 64, Anchor.NONE, STEPS));
  }

  @EachKernels
  void l2spAtTheOriginIsAdamwUpToRounding(Kernels kernels) {
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

  @EachKernels
  void lambdaZeroIsAdam(Kernels kernels) {
    int[][] adam = run(kernels, new NoDecay(), 0.01, Anchor.OTHER, STEPS);
    for (DecayRule rule : StepCase.RULES) {
      assertThat(run(kernels, rule.withLambda(0), 0.01, Anchor.OTHER, STEPS))
          .as("%s", rule)
          .isDeepEqualTo(adam);
      assertThat(Arrays.deepEquals(run(kernels, rule, 0.01, Anchor.OTHER, STEPS), adam))
          .as("%s", rule)
          .isEqualTo(rule.lambda() == 0);
    }
  }

  @EachKernels
  void spdAtTheAnchorIsAdam(Kernels kernels) {
    assertThat(run(kernels, new SelectiveProjectionDecay(1), 0.01, Anchor.START, 1))
        .isDeepEqualTo(run(kernels, new NoDecay(), 0.01, Anchor.START, 1));
  }

  @EachKernels
  void aTensorHasTheSameBitsAloneAndAmongOthers(Kernels kernels) {
    int tensors = 30;
    int[][] together;
    try (Tensors all = tensors(tensors);
        Adam adam = adam(kernels, 3, group(new SelectiveProjectionDecay(1), all.parameters))) {
      adam.step();
      adam.step();
      together = bits(all.parameters);
    }
    for (int i = 0; i < tensors; i += 7) {
      try (Tensors all = tensors(tensors);
          Adam adam =
              adam(
                  kernels,
                  1,
                  group(new SelectiveProjectionDecay(1), List.of(all.parameters.get(i))))) {
        adam.step();
        adam.step();
        int[][] alone = bits(adam.parameters());
        for (int array = 0; array < alone.length; array++) {
          assertThat(alone[array]).isEqualTo(together[i * alone.length + array]);
        }
      }
    }
  }

  private static Tensors tensors(int count) {
    Tensors tensors = new Tensors(11);
    for (int i = 0; i < count; i++) {
      tensors.add("p" + i, 977L * i, i, i % 3 != 0);
    }
    return tensors;
  }

  /** Returns the bits of all arrays that a step writes, in order. */
  private static int[][] bits(List<Parameter> parameters) {
    return parameters.stream()
        .flatMap(p -> Stream.of(ParameterArray.values()).filter(a -> a.written).map(a -> a.of(p)))
        .filter(Objects::nonNull)
        .map(array -> array.toArray(JAVA_INT))
        .toArray(int[][]::new);
  }
}
