package io.spd4j.bench.compare;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.VectorModule;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.openjdk.jmh.infra.BenchmarkParams;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/**
 * A result of JMH.
 *
 * @param name the benchmark and its parameters
 * @param nanos mean nanoseconds of one operation
 * @param error half of the 99.9% confidence interval; NaN if there are too few iterations
 * @param allocated bytes on the Java heap for each operation, by JMH's GC profiler
 */
record Micro(String name, double nanos, double error, double allocated) {
  private static final String ALLOCATED = "gc.alloc.rate.norm";

  /**
   * Runs the benchmarks, each in new JVMs.
   *
   * @throws Failure if JMH cannot run them
   */
  static List<Micro> measure(boolean quick) throws Failure {
    ChainedOptionsBuilder options =
        new OptionsBuilder()
            .include(DowncallBenchmark.class.getName())
            .include(StepBenchmark.class.getName())
            .jvmArgs(VectorModule.options().toArray(String[]::new))
            .addProfiler(GCProfiler.class)
            .shouldFailOnError(false)
            .verbosity(VerboseMode.SILENT);
    if (quick) {
      options
          .param("numel", "1000")
          .param("backend", "NATIVE")
          .forks(1)
          .warmupIterations(2)
          .measurementIterations(3)
          .warmupTime(TimeValue.milliseconds(300))
          .measurementTime(TimeValue.milliseconds(300));
    } else {
      options
          .forks(3)
          .warmupIterations(3)
          .measurementIterations(5)
          .warmupTime(TimeValue.seconds(1))
          .measurementTime(TimeValue.seconds(1));
    }
    try {
      Collection<RunResult> results = new Runner(options.build()).run();
      return results.stream().map(Micro::of).toList();
    } catch (RunnerException e) {
      throw Failure.ofCheck("JMH cannot run the benchmarks: " + e.getMessage());
    }
  }

  private static Micro of(RunResult result) {
    return new Micro(
        name(result.getParams()),
        result.getPrimaryResult().getScore(),
        result.getPrimaryResult().getScoreError(),
        result.getSecondaryResults().get(ALLOCATED).getScore());
  }

  private static String name(BenchmarkParams params) {
    Map<String, String> values = new TreeMap<>();
    for (String key : params.getParamsKeys()) {
      values.put(key, params.getParam(key).toLowerCase(Locale.ROOT));
    }
    String method = params.getBenchmark().substring(params.getBenchmark().lastIndexOf('.') + 1);
    return values.isEmpty() ? method : method + " " + values;
  }
}
