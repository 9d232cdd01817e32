package io.spd4j;

import static io.spd4j.SideBySide.silent;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.StepCase.Sizes;
import io.spd4j.StepCase.Types;
import io.spd4j.kernel.AllKernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Parameters in two halves of 16 bits are stepped as float32 ones are, bit for bit, whatever the
 * other arrays are.
 */
class ExactMastersTest {
  private static final float[] SPECIAL = {
    Float.NaN,
    Float.POSITIVE_INFINITY,
    Float.NEGATIVE_INFINITY,
    0f,
    -0f,
    Float.MIN_VALUE,
    -Float.MIN_NORMAL,
    Float.MAX_VALUE,
    1e-30f,
    1e30f
  };

  private record Case(DecayRule rule, Types types, boolean amsgrad, boolean anchored) {
    /** Returns the same types with parameters of float32. */
    Types float32() {
      return new Types(
          ElementType.FLOAT32, false, types.gradient(), types.anchor(), types.moments());
    }

    ParameterGroup group(List<Parameter> parameters) {
      return new StepCase(rule, types, amsgrad, anchored, Sizes.AWKWARD)
          .group()
          .parameters(parameters)
          .build();
    }
  }

  /** Each rule with each type of moments; 8 bits in the combination that takes least memory. */
  static Stream<Case> cases() {
    List<Case> cases = new ArrayList<>();
    for (int i = 0; i < StepCase.RULES.size(); i++) {
      for (MomentType moments : MomentType.values()) {
        boolean least = moments == MomentType.BLOCKWISE_8BIT;
        ElementType gradient = least ? ElementType.BFLOAT16 : ElementType.values()[i % 3];
        ElementType anchor = least ? ElementType.BFLOAT16 : ElementType.values()[(i / 3 + 1) % 3];
        Types types = new Types(ElementType.BFLOAT16, true, gradient, anchor, moments);
        boolean amsgrad = !least && i % 2 == 0;
        cases.add(new Case(StepCase.RULES.get(i), types, amsgrad, i % 4 != 0));
      }
    }
    return cases.stream();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void everyStepGivesTheBitsOfFloat32(Case c) {
    Tensors tensors = new Tensors(41, c.types());
    for (int numel : new int[] {0, 1, 2, 63, 65, 130, 4097}) {
      int i = tensors.parameters.size();
      tensors.add("p" + i, numel, i, c.anchored());
    }
    try (Arena arena = Arena.ofShared();
        SideBySide all = SideBySide.onCpu(tensors, List.of(c.group(tensors.parameters)))) {
      List<Parameter> exact = new ArrayList<>();
      for (Parameter p : tensors.parameters) {
        exact.add(float32(arena, p));
      }
      try (Adam float32 =
          Adam.builder().kernels(AllKernels.list().getLast()).group(c.group(exact)).build()) {
        for (int step = 1; step <= 8; step++) {
          tensors.nextGradients();
          if (step > 5) {
            special(tensors.parameters, step);
          }
          String what = c + ", step " + step;
          if (step % 2 == 0) {
            assertThat(float32.stepClipped(1, 0.5))
                .isEqualTo(Double.valueOf(all.plain.gradientNorm() * 0.5));
            all.stepOnly(what, adam -> adam.stepClipped(1, 0.5));
          } else {
            float32.step(0.9);
            all.stepOnly(what, silent(adam -> adam.step(0.9)));
          }
          for (int i = 0; i < exact.size(); i++) {
            assertSame(exact.get(i), tensors.parameters.get(i), what);
          }
          assertThat(all.plain.spdReports()).as(what).isEqualTo(float32.spdReports());
        }
      }
    }
  }

  /** Returns a copy whose data is float32; it shares the gradient and the anchor. */
  private static Parameter float32(Arena arena, Parameter p) {
    MemorySegment data = arena.allocate(4 * p.numel(), 64);
    SplitFloats.join(p.data(), p.low(), data);
    return Parameter.builder(p.name(), data)
        .gradient(p.gradient(), p.gradientType())
        .anchor(p.anchor(), p.anchorType())
        .momentType(p.momentType())
        .build();
  }

  /** Writes special values to some gradients. */
  private static void special(List<Parameter> parameters, int seed) {
    SplittableRandom random = new SplittableRandom(seed);
    for (Parameter p : parameters) {
      for (long i = random.nextInt(4); i < p.numel(); i += 1 + random.nextInt(200)) {
        float value = SPECIAL[random.nextInt(SPECIAL.length)];
        Tensors.set(p.gradient(), p.gradientType(), i, value);
      }
    }
  }

  private static void assertSame(Parameter expected, Parameter p, String what) {
    for (long i = 0; i < p.numel(); i++) {
      int bits = Float.floatToIntBits(Tensors.value(p, i));
      int right = Float.floatToIntBits(Tensors.value(expected, i));
      if (bits != right) {
        assertThat(bits).as("element %d of %s, %s", i, p, what).isEqualTo(right);
      }
    }
    for (ParameterArray array :
        List.of(ParameterArray.EXP_AVG, ParameterArray.EXP_AVG_SQ, ParameterArray.MAX_EXP_AVG_SQ)) {
      if (array.of(p) != null) {
        boolean float32 = p.momentType() == MomentType.FLOAT32;
        long mismatch =
            float32 // in which NaNs may differ
                ? Arrays.mismatch(Tensors.floats(array.of(p)), Tensors.floats(array.of(expected)))
                : array.of(p).mismatch(array.of(expected));
        assertThat(mismatch).as("where %s of %s differs, %s", array, p, what).isEqualTo(-1);
      }
    }
  }
}
