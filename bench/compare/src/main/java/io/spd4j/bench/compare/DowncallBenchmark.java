package io.spd4j.bench.compare;

import io.spd4j.Backend;
import io.spd4j.generated.spd4j.spd4j_h;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** The cost of one call into libspd4j: its smallest function, which returns a constant. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class DowncallBenchmark {
  /** Loads the library. */
  @Setup
  public void load() {
    boolean loaded =
        Backend.availability().stream()
            .anyMatch(a -> a.backend() == Backend.NATIVE && a.available());
    if (!loaded) {
      throw new IllegalStateException("libspd4j is not available");
    }
  }

  /** The only use of a library internal here: no public method is this small. */
  @Benchmark
  public int downcall() {
    return spd4j_h.spd4j_abi_version();
  }
}
