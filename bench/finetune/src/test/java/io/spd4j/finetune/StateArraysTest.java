package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.ElementType;
import io.spd4j.Parameter;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.minilm.Weight;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StateArraysTest {
  /** More than two pieces, and a rest. */
  private static final long NUMEL = (2 << 16) + 5;

  private final Arena arena = Arena.ofShared();
  private final SplittableRandom random = new SplittableRandom(1);
  private final Weight weight = Weight.zeros(arena, "w", List.of(NUMEL), true);
  private final MemorySegment anchor = arena.allocate(NUMEL * 4, 64);
  private final MemorySegment initial = arena.allocate(NUMEL * 4, 64);

  StateArraysTest() {
    fill(weight.data());
    fill(weight.gradient());
    fill(anchor);
    initial.copyFrom(weight.data());
  }

  @AfterEach
  void close() {
    arena.close();
  }

  /** Fills an array with any bits, and ties. */
  private void fill(MemorySegment floats) {
    for (long i = 0; i < NUMEL; i++) {
      int bits = random.nextInt();
      floats.setAtIndex(JAVA_INT, i, i % 3 == 0 ? bits & 0xffff0000 | 0x8000 : bits);
    }
    int[] special = {0, 1 << 31, 0x7f800000, 0xff800000, 0x7f7fffff, 1, 0x7f800001, -1};
    MemorySegment.copy(special, 0, floats, JAVA_INT, NUMEL * 4 - 32, special.length);
  }

  @Test
  void float32StepsTheNetworksOwnArrays() {
    StateArrays arrays = new StateArrays(State.FLOAT32, arena, 2);
    Parameter parameter = arrays.parameter(weight, anchor);

    assertThat(parameter.data()).isEqualTo(weight.data());
    assertThat(parameter.gradient()).isEqualTo(weight.gradient());
    assertThat(parameter.anchor()).isEqualTo(anchor);
    arrays.toOptimizer(List.of(parameter));
    arrays.toNetwork();
    assertThat(weight.data().mismatch(initial)).isEqualTo(-1);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"split", "bf16", "8bit", "grad=bf16", "anchor=bf16", "param=bf16+moments=8bit"})
  void otherStatesHaveArraysApart(State state) {
    StateArrays arrays = new StateArrays(state, arena, 2);
    Parameter parameter = arrays.parameter(weight, anchor);

    assertThat(parameter.type()).isEqualTo(state.parameter());
    assertThat(parameter.gradientType()).isEqualTo(state.gradient());
    assertThat(parameter.anchorType()).isEqualTo(state.anchor());
    assertThat(parameter.momentType()).isEqualTo(state.moments());
    assertThat(parameter.low() != null).isEqualTo(state.split());
    assertThat(arrays.parameter(weight, null).anchor()).isNull();
    assertThat(weight.data().mismatch(initial)).isEqualTo(-1);
    if (state.anchor() == ElementType.FLOAT32) {
      assertThat(parameter.anchor()).isEqualTo(anchor);
    } else {
      assertNearest(anchor, parameter.anchor());
    }
    if (state.gradient() == ElementType.FLOAT32) {
      assertThat(parameter.gradient()).isEqualTo(weight.gradient());
    } else {
      assertThat(parameter.gradient()).isNotEqualTo(weight.gradient());
      arrays.toOptimizer(List.of(parameter));
      assertNearest(weight.gradient(), parameter.gradient());
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"split", "bf16", "8bit", "grad=bf16", "anchor=bf16", "param=bf16+moments=8bit"})
  void theNetworkGetsTheStoredValues(State state) {
    for (int threads = 1; threads <= 2; threads++) {
      weight.data().copyFrom(initial);
      StateArrays arrays = new StateArrays(state, arena, threads);
      Parameter parameter = arrays.parameter(weight, anchor);
      if (!parameter.data().equals(weight.data())) {
        weight.data().fill((byte) 0);
      }
      arrays.toNetwork();

      if (state.split() || state.parameter() == ElementType.FLOAT32) {
        assertThat(weight.data().mismatch(initial)).isEqualTo(-1);
        continue;
      }
      assertNearest(initial, parameter.data());
      for (long i = 0; i < NUMEL; i++) {
        assertThat(weight.data().getAtIndex(JAVA_INT, i))
            .isEqualTo(parameter.data().getAtIndex(JAVA_SHORT, i) << 16);
      }
    }
  }

  private static void assertNearest(MemorySegment floats, MemorySegment halves) {
    for (long i = 0; i < NUMEL; i++) {
      float value = floats.getAtIndex(JAVA_FLOAT, i);
      assertThat(halves.getAtIndex(JAVA_SHORT, i)).as("%s", value).isEqualTo(nearest(value));
    }
  }

  /** Compares the distances of the two neighbours; infinity counts as the next number. */
  private static short nearest(float value) {
    if (Float.isNaN(value)) {
      return 0x7fc0;
    }
    int below = Float.floatToRawIntBits(value) >>> 16;
    double down = Math.abs(value - (double) Float.intBitsToFloat(below << 16));
    double up = Math.abs(number(below + 1) - value);
    boolean rounds = up < down || up == down && below % 2 == 1;
    return (short) (rounds && Float.isFinite(value) ? below + 1 : below);
  }

  private static double number(int half) {
    float value = Float.intBitsToFloat(half << 16);
    return Float.isInfinite(value) ? Math.copySign(0x1p128, value) : value;
  }
}
