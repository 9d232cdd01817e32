package io.spd4j.bench;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FirstBitsTest {
  private static final int LENGTH = 5;

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3})
  void theLastBitOfAnyArrayCounts(int array) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment[] arrays =
          IntStream.range(0, 4)
              .mapToObj(i -> arena.allocate(LENGTH * Float.BYTES))
              .toArray(MemorySegment[]::new);
      StepOutput output = new StepOutput(arrays[0], arrays[1], arrays[2], arrays[3], 0, null);
      FirstBits bits = new FirstBits();

      assertThat(bits.same(0, 1, 0, output)).isTrue();
      assertThat(bits.same(0, 1, 0, output)).isTrue();
      arrays[array].setAtIndex(JAVA_INT, LENGTH - 1, 1);
      assertThat(bits.same(0, 1, 0, output)).isFalse();
      assertThat(bits.same(0, 2, 0, output)).isTrue();
    }
  }

  @Test
  void theConditionCounts() {
    MemorySegment array = MemorySegment.ofArray(new float[LENGTH]);
    FirstBits bits = new FirstBits();

    bits.same(0, 1, 0, new StepOutput(array, array, array, null, 1, null));
    assertThat(bits.same(0, 1, 0, new StepOutput(array, array, array, null, 1, null))).isTrue();
    assertThat(
            bits.same(0, 1, 0, new StepOutput(array, array, array, null, Math.nextUp(1.0), null)))
        .isFalse();
  }

  @Test
  void minusZeroIsNotZero() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = arena.allocate(Float.BYTES);
      MemorySegment moment = arena.allocate(Float.BYTES);
      StepOutput output = new StepOutput(data, moment, moment, null, 0, null);
      FirstBits bits = new FirstBits();

      bits.same(0, 1, 0, output);
      data.set(JAVA_INT, 0, Float.floatToRawIntBits(-0f));
      assertThat(bits.same(0, 1, 0, output)).isFalse();
    }
  }
}
