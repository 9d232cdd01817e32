package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ChunkRingTest {
  private static final int BYTES = 1000;

  @Test
  void chunksDoNotOverlap() {
    Random random = new Random(3);
    try (Arena arena = Arena.ofConfined()) {
      ChunkRing ring = new ChunkRing(arena, BYTES);
      Deque<ChunkRing.Buffers> taken = new ArrayDeque<>();
      int most = 0;
      for (int i = 0; i < 10_000; i++) {
        int size = 1 + random.nextInt(i % 2 == 0 ? 70 : 512);
        ChunkRing.Buffers buffers = ring.take(size);
        while (buffers == null) { // an empty ring has room for half of it
          taken.remove();
          ring.giveBack();
          buffers = ring.take(size);
        }
        assertThat(buffers.send().byteSize()).isEqualTo(size);
        assertThat(buffers.receive().byteSize()).isEqualTo(size);
        assertThat(buffers.send().address() % 64).isZero();
        for (ChunkRing.Buffers other : taken) {
          assertThat(buffers.send().asOverlappingSlice(other.send())).isEmpty();
          assertThat(buffers.receive().asOverlappingSlice(other.receive())).isEmpty();
        }
        assertThat(buffers.send().asOverlappingSlice(buffers.receive())).isEmpty();
        taken.add(buffers);
        most = Math.max(most, taken.size());
        while (!taken.isEmpty() && random.nextInt(4) == 0) {
          taken.remove();
          ring.giveBack();
        }
      }
      assertThat(most).isGreaterThan(5);
    }
  }

  @Test
  void isFilledToTheLastByte() {
    try (Arena arena = Arena.ofConfined()) {
      ChunkRing ring = new ChunkRing(arena, 256);
      assertThat(ring.take(128)).isNotNull();
      assertThat(ring.take(128)).isNotNull();
      assertThat(ring.take(1)).isNull();
      ring.giveBack();
      long begin = ring.take(64).send().address();
      assertThat(ring.take(65)).isNull();
      assertThat(ring.take(64).send().address()).isEqualTo(begin + 64);
      assertThat(ring.take(1)).isNull();
    }
  }
}
