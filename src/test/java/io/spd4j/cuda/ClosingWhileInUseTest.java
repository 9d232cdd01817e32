package io.spd4j.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.Closer;
import io.spd4j.FreshJvm;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** One thread closes arenas, streams and graphs while another uses them. */
@CudaAvailable
class ClosingWhileInUseTest {
  /** Runs in a separate JVM, which must not crash. */
  static final class Closing {
    private static final int ROUNDS = 60;
    private static final int SIZE = 100_000;

    private static int calls;
    private static int refusedCalls;

    public static void main(String[] args) throws Exception {
      CudaDevice device = CudaDevice.of(0);
      SplittableRandom random = new SplittableRandom(1);
      try (DeviceArena lasting = DeviceArena.open(device)) {
        MemorySegment copy = lasting.allocate(SIZE);
        for (int round = 0; round < ROUNDS; round++) {
          DeviceArena arena = DeviceArena.open(device);
          PinnedArena pinned = PinnedArena.open(device);
          CudaStream stream = CudaStream.create(device);
          MemorySegment a = arena.allocate(SIZE);
          MemorySegment b = pinned.allocate(SIZE);
          CudaGraph graph = stream.capture(() -> stream.copy(b, a));
          AutoCloseable[] all = {arena, pinned, stream, graph};
          AutoCloseable victim = all[round % all.length];
          Closer closer = new Closer(random.nextLong(1_000_000), victim);
          try {
            while (true) {
              stream.copy(b, a);
              stream.copy(a, copy);
              stream.launch(graph);
              stream.copy(a, b);
              calls++;
            }
          } catch (IllegalStateException closed) {
            refusedCalls++;
          }
          closer.join();
          for (AutoCloseable other : all) {
            if (other != victim) {
              other.close();
            }
          }
        }
      }
      System.out.printf("called: %b, calls refused: %d%n", calls > 0, refusedCalls);
    }
  }

  @Test
  void doesNotCrash(@TempDir Path folder) throws Exception {
    String out = FreshJvm.run(folder, CudaOnHost.flags(), Closing.class);
    assertThat(out.strip()).isEqualTo("called: true, calls refused: 60");
  }
}
