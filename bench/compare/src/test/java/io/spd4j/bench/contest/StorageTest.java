package io.spd4j.bench.contest;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.spd4j.SplitFloats;
import io.spd4j.finetune.cli.State;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class StorageTest {
  private static final int[] NUMELS = {1, 63, 64, 65, 1000};

  private final SplittableRandom random = new SplittableRandom(1);

  /** Values of all magnitudes from 1e-6 to 1. */
  private float[] values(int numel) {
    float[] values = new float[numel];
    for (int i = 0; i < numel; i++) {
      values[i] = (float) ((random.nextInt(2) * 2 - 1) * Math.pow(10, random.nextDouble(-6, 0)));
    }
    return values;
  }

  /** Writes in two parts, of which the first is whole groups. */
  private static float[] writtenAndRead(Storage storage, float[] values, MemorySegment array) {
    int numel = values.length;
    int part = numel / 2 / 64 * 64;
    float[] rest = Arrays.copyOfRange(values, part, numel);
    storage.write(array, numel, 0, values, part);
    storage.write(array, numel, part, rest, rest.length);
    return storage.read(array, numel, 0, numel);
  }

  @ParameterizedTest
  @EnumSource
  void storesNearValues(Storage storage) {
    for (int numel : NUMELS) {
      float[] values = values(numel);
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment array = arena.allocate(storage.bytes(numel), 64);
        if (storage == Storage.SECOND_8BIT) {
          for (int i = 0; i < numel; i++) {
            values[i] = Math.abs(values[i]);
          }
        }
        float[] read = writtenAndRead(storage, values, array);
        for (int i = 0; i < numel; i++) {
          double error =
              switch (storage) {
                case FLOAT32, SPLIT -> 0;
                case BFLOAT16 -> Math.abs(values[i]) * 0x1p-8;
                case FIRST_8BIT -> 0.5001 / 127; // of at most 1
                case SECOND_8BIT -> Math.max(Math.abs(values[i]) / 31, 0x1p-15);
              };
          assertThat(read[i]).isCloseTo(values[i], within((float) error));
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 100, 5000})
  void splitsAsTheLibraryDoes(int numel) {
    try (Arena arena = Arena.ofConfined()) {
      float[] values = values(numel);
      MemorySegment array = arena.allocate(Storage.SPLIT.bytes(numel), 64);
      writtenAndRead(Storage.SPLIT, values, array);
      MemorySegment floats = arena.allocateFrom(JAVA_FLOAT, values);
      MemorySegment high = arena.allocate(JAVA_SHORT, numel);
      MemorySegment low = arena.allocate(JAVA_SHORT, numel);
      SplitFloats.split(floats, high, low);

      assertThat(array.asSlice(0, 2L * numel).mismatch(high)).isEqualTo(-1);
      assertThat(array.asSlice(Storage.low(numel)).mismatch(low)).isEqualTo(-1);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "float32, DATA, FLOAT32",
    "split, DATA, SPLIT",
    "split, GRADIENT, FLOAT32",
    "split, EXP_AVG, FLOAT32",
    "bf16, DATA, BFLOAT16",
    "bf16, EXP_AVG_SQ, BFLOAT16",
    "8bit, DATA, SPLIT",
    "8bit, ANCHOR, BFLOAT16",
    "8bit, EXP_AVG, FIRST_8BIT",
    "8bit, EXP_AVG_SQ, SECOND_8BIT",
  })
  void followsTheState(String name, ArrayKind kind, Storage storage) {
    assertThat(Storage.of(State.of(name), kind)).isEqualTo(storage);
  }
}
