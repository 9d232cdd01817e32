package io.spd4j;

import static io.spd4j.Tensors.floats;
import static io.spd4j.Tensors.of;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.EachKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;

/**
 * Cautious decay by hand: with betas and eps of 0, Adam's update is lr times the gradient's sign.
 */
class CautiousDecayTest {
  private static final double LR = 0.25;

  private static float[] stepped(Kernels kernels, DecayRule rule, float[] anchor) {
    try (Arena arena = Arena.ofConfined()) {
      Parameter p =
          Parameter.builder("p", of(arena, 2, 2, -2, -2, 1))
              .gradient(of(arena, 3, -3, 3, -3, 7))
              .anchor(anchor == null ? null : of(arena, anchor))
              .build();
      ParameterGroup group =
          ParameterGroup.builder().lr(LR).betas(0, 0).eps(0).decay(rule).parameter(p).build();
      try (Adam adam = Optimizers.adam(kernels, 1, group)) {
        adam.step();
      }
      return floats(p.data());
    }
  }

  @EachKernels
  void decaysTowardsTheOriginWhereTheUpdateGoesThatWay(Kernels kernels) {
    // λ·lr = 1/8 of the first and the fourth element, which the update brings nearer to 0.
    assertThat(stepped(kernels, new CautiousDecay(0.5), null))
        .containsExactly(1.5f, 2.25f, -2.25f, -1.5f, 0.625f);
  }

  @EachKernels
  void decaysTowardsTheAnchorWhereTheUpdateGoesThatWay(Kernels kernels) {
    // Deviations -1, -1, 1, 1 and 0: now it is the second and the third.
    assertThat(stepped(kernels, new CautiousDecay(0.5), new float[] {3, 3, -3, -3, 1}))
        .containsExactly(1.75f, 2.375f, -2.375f, -1.75f, 0.75f);
  }

  @EachKernels
  void isL2spWhereEveryUpdateGoesTowardsTheAnchor(Kernels kernels) {
    float[] anchor = {1, 3, -3, -1, 0.5f};
    assertThat(stepped(kernels, new CautiousDecay(0.5), anchor))
        .isEqualTo(stepped(kernels, new L2SP(0.5), anchor));
  }
}
