package io.spd4j.bench;

import io.spd4j.finetune.report.Statistics;
import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;

/** How long a task takes once the JIT compiler has finished with it. */
record Timing(double medianNanos, double minNanos) {
  /** The compiler, which occupies a core, counts as finished after being idle for this long. */
  private static final long QUIET_NANOS = 500_000_000;

  private static final long WARM_UP_NANOS = 10_000_000_000L;
  private static final int WARM_UP_RUNS = 10;

  static Timing of(int repeat, Runnable task) {
    warmUp(task);
    double[] nanos = new double[repeat];
    for (int i = 0; i < repeat; i++) {
      nanos[i] = nanos(task);
    }
    return of(nanos);
  }

  /** Summarizes the nanoseconds of some runs. */
  static Timing of(double[] nanos) {
    return new Timing(Statistics.median(nanos), Arrays.stream(nanos).min().orElse(Double.NaN));
  }

  /** Returns the nanoseconds of one run. */
  static double nanos(Runnable task) {
    long begin = System.nanoTime();
    task.run();
    return System.nanoTime() - begin;
  }

  /** Runs a task until the compiler has finished with it. */
  static void warmUp(Runnable task) {
    CompilationMXBean compiler = ManagementFactory.getCompilationMXBean();
    long start = System.nanoTime();
    long quietSince = start;
    long compiled = -1;
    for (int runs = 0; ; runs++) {
      long now = System.nanoTime();
      long time = compiler == null ? 0 : compiler.getTotalCompilationTime();
      if (time != compiled) {
        compiled = time;
        quietSince = now;
      }
      boolean quiet = now - quietSince > QUIET_NANOS || now - start > WARM_UP_NANOS;
      if (quiet && runs >= WARM_UP_RUNS) {
        return;
      }
      task.run();
    }
  }
}
