package io.spd4j.bench;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.Parameter;
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
      Parameter parameter =
          Parameter.builder("p", arrays[0])
              .moments(arrays[1], arrays[2])
              .maxExpAvgSq(arrays[3])
              .build();
      FirstBits bits = new FirstBits();

      assertThat(bits.same(0, 1, parameter)).isTrue();
      assertThat(bits.same(0, 1, parameter)).isTrue();
      arrays[array].setAtIndex(JAVA_INT, LENGTH - 1, 1);
      assertThat(bits.same(0, 1, parameter)).isFalse();
      assertThat(bits.same(0, 2, parameter)).isTrue();
    }
  }

  @Test
  void minusZeroIsNotZero() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = arena.allocate(Float.BYTES);
      MemorySegment moment = arena.allocate(Float.BYTES);
      Parameter parameter = Parameter.builder("p", data).moments(moment, moment).build();
      FirstBits bits = new FirstBits();

      bits.same(0, 1, parameter);
      data.set(JAVA_INT, 0, Float.floatToRawIntBits(-0f));
      assertThat(bits.same(0, 1, parameter)).isFalse();
    }
  }
}
