package io.spd4j.onednn;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.FreshJvm;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
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
          s[round % s.length] = mapped(victim);
          long delay = random.nextLong(5_000_000);
          Thread closer = Thread.ofPlatform().start(() -> closeAfter(delay, victim));
          callUntilRefused(() -> linear.forward(s[0], s[1], null, s[2]));
          closer.join();
          linear.forward(lasting[0], lasting[1], null, lasting[2]);
        }
      }
      System.out.printf(
          "%d calls, closes refused: %b, calls refused: %d%n",
          calls, refusedCloses > 0, refusedCalls);
    }

    /** Returns mapped memory, which is gone at once when closed; malloc's may stay readable. */
    private static MemorySegment mapped(Arena arena) throws IOException {
      try (FileChannel file =
          FileChannel.open(
              Path.of("victim"),
              StandardOpenOption.CREATE,
              StandardOpenOption.READ,
              StandardOpenOption.WRITE)) {
        return file.map(MapMode.READ_WRITE, 0, BYTES, arena);
      }
    }

    private static void pause(long nanos) {
      long begin = System.nanoTime();
      while (System.nanoTime() - begin < nanos) {
        Thread.onSpinWait();
      }
    }

    private static void closeAfter(long nanos, Arena victim) {
      pause(nanos);
      while (true) {
        try {
          victim.close();
          return;
        } catch (IllegalStateException inUse) {
          refusedCloses++;
          Thread.onSpinWait();
        }
      }
    }

    private static void callUntilRefused(Runnable call) {
      while (true) {
        try {
          call.run();
          calls++;
          pause(10_000); // in which it can be closed
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
