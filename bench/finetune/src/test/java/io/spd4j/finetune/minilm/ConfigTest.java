package io.spd4j.finetune.minilm;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.ElementType;
import io.spd4j.onednn.OneDnn;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ConfigTest {
  /** Counts the bytes that are allocated. */
  private static final class Counting implements Arena {
    private final Arena arena = Arena.ofConfined();
    private long bytes;

    @Override
    public MemorySegment allocate(long byteSize, long byteAlignment) {
      bytes += byteSize;
      return arena.allocate(byteSize, byteAlignment);
    }

    @Override
    public MemorySegment.Scope scope() {
      return arena.scope();
    }

    @Override
    public void close() {
      arena.close();
    }
  }

  /** Copies of weights do not depend on the batch, so compare with a smaller one. */
  @ParameterizedTest
  @CsvSource({
    "FLOAT32, 0, 2, 12",
    "FLOAT32, 3, 2, 12",
    "BFLOAT16, 0, 2, 12",
    "BFLOAT16, 3, 2, 12",
    "BFLOAT16, 0, 5, 4"
  })
  void activationBytesAreWhatAnEncoderAllocates(
      ElementType operands, int rank, int layers, int intermediate) {
    Config config = new Config(13, 16, 8, 2, intermediate, layers);
    long more = allocated(config, rank, operands, 5, 16) - allocated(config, rank, operands, 1, 8);
    assertThat(
            config.activationBytes(5, 16, rank, operands)
                - config.activationBytes(1, 8, rank, operands))
        .isEqualTo(more)
        .isPositive();
  }

  private static long allocated(
      Config config, int rank, ElementType operands, int size, int length) {
    try (OneDnn dnn = OneDnn.open(1);
        Arena arena = Arena.ofConfined();
        Counting counting = new Counting()) {
      Weights weights = Tiny.encoder(arena, config, 1);
      if (rank > 0) {
        weights = weights.with(Lora.create(arena, config, rank, new SplittableRandom(1)));
      }
      new Encoder(dnn, config, weights, size, length, counting, operands);
      return counting.bytes;
    }
  }
}
