package io.spd4j.onednn;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.spd4j.FreshJvm;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Once compiled, a call allocates nothing on the Java heap. */
class AllocationTest {
  /** Prints how many bytes each call allocates. */
  static final class Measured {
    private static final int WARM_UP = 6000;
    private static final int CALLS = 200;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    public static void main(String[] args) {
      MathMode math = MathMode.valueOf(System.getProperty("math", "FLOAT32"));
      try (OneDnn oneDnn = OneDnn.builder().math(math).open();
          Arena arena = Arena.ofShared()) {
        for (Case test : Cases.ofEveryMethod()) {
          Case.Call call = test.of(oneDnn);
          MemorySegment[] segments = new Buffers(arena, test, 0).segments();
          MemorySegment[] others = new Buffers(arena, test, 1).segments();
          run(call, segments, others, WARM_UP);
          long before = THREADS.getCurrentThreadAllocatedBytes();
          run(call, segments, others, CALLS);
          long after = THREADS.getCurrentThreadAllocatedBytes();
          System.out.printf("%s: %d bytes%n", test, after - before);
        }
      }
    }

    private static void run(
        Case.Call call, MemorySegment[] segments, MemorySegment[] others, int times) {
      for (int i = 0; i < times; i++) {
        call.run(segments);
        call.run(others);
      }
    }
  }

  @BeforeAll
  static void available() {
    Cases.assumeOneDnn();
  }

  @ParameterizedTest
  @ValueSource(strings = {"FLOAT32", "BF16"})
  void aCallAllocatesNothing(String math, @TempDir Path folder) throws Exception {
    List<String> options = List.of("-XX:-BackgroundCompilation", "-Dmath=" + math);
    String out = FreshJvm.run(folder, options, Measured.class);
    List<String> lines = out.lines().filter(line -> line.endsWith(" bytes")).toList();
    assertThat(lines).hasSameSizeAs(Cases.ofEveryMethod());
    assertThat(lines).allMatch(line -> line.endsWith(": 0 bytes"));
  }
}
