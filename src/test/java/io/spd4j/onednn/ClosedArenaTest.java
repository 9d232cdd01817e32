package io.spd4j.onednn;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.Closer;
import io.spd4j.FreshJvm;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Another thread closes an arena while an operation reads or writes its memory. */
class ClosedArenaTest {
  /** Calls in one thread while another one closes an arena, again and again. */
  static final class Closing {
    private static final int SIZE = 384;
    private static final long BYTES = (long) SIZE * SIZE * Float.BYTES;
    private static final int ROUNDS = 30;

    private static int calls;
    private static int refusedCloses;
    private static int refusedCalls;

    public static void main(String[] args) throws Exception {
      SplittableRandom random = new SplittableRandom(1);
      try (OneDnn oneDnn = OneDnn.open(1)) {
        Linear linear = oneDnn.linear(SIZE, SIZE, SIZE);
        MemorySegment[] lasting = new MemorySegment[3];
        for (int i = 0; i < lasting.length; i++) {
          lasting[i] = Arena.global().allocate(BYTES, 64);
        }
        for (int round = 0; round < ROUNDS; round++) {
          Arena victim = Arena.ofShared();
          MemorySegment[] s = lasting.clone();
          s[round % s.length] = Closer.mapped(victim, Path.of("victim"), BYTES);
          Closer closer = new Closer(random.nextLong(5_000_000), victim);
          callUntilRefused(() -> linear.forward(s[0], s[1], null, s[2]));
          refusedCloses += closer.join();
          linear.forward(lasting[0], lasting[1], null, lasting[2]);
        }
      }
      System.out.printf(
          "%d calls, closes refused: %b, calls refused: %d%n",
          calls, refusedCloses > 0, refusedCalls);
    }

    private static void callUntilRefused(Runnable call) {
      while (true) {
        try {
          call.run();
          calls++;
          Closer.pause(10_000); // gives the other thread time to close it
        } catch (IllegalStateException | IllegalArgumentException closed) {
          if (!closed.getMessage().matches("Already closed|.* lies in an arena that is closed")) {
            throw closed;
          }
          refusedCalls++;
          return;
        }
      }
    }
  }

  @BeforeAll
  static void available() {
    Cases.assumeOneDnn();
  }

  @Test
  void doesNotCrash(@TempDir Path folder) throws Exception {
    String out = FreshJvm.run(folder, List.of("-Xmx512m"), Closing.class);
    assertThat(out).contains("closes refused: true, calls refused: 30");
  }
}
