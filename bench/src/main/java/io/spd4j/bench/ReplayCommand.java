package io.spd4j.bench;

import io.spd4j.Backend;
import io.spd4j.Parameter;
import io.spd4j.SpdReport;
import io.spd4j.bench.Trace.Recorded;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Replays recorded traces on every backend. */
@Command(
    name = "replay",
    description = {
      "Replays recorded optimizer traces on every backend that is available, with several numbers "
          + "of threads.",
      "Prints the largest relative errors, the SPD decisions that differ from the recorded ones "
          + "(all copies, all numbers of threads), and whether every run gave the same bits.",
      "An element's error is relative to the largest magnitude that it has had in the record so "
          + "far, at least 1/1000 of the array's root mean square. After K steps it may be "
          + "(8 + K) * 2^-24; the reference traces are within 8 * 2^-24.",
    },
    footer = {"", "Example: java -jar spd4j-bench.jar replay --threads 1,4 spd.safetensors"})
final class ReplayCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(arity = "1..*", paramLabel = "FILE", description = "Traces (safetensors).")
  private List<Path> files;

  @Option(
      names = "--threads",
      split = ",",
      defaultValue = "1,2,3,7",
      paramLabel = "T",
      converter = Count.class,
      description = "Numbers of threads, for all but cuda; default: ${DEFAULT-VALUE}.")
  private List<Integer> threads;

  /** The worst of a backend's runs. */
  private static final class Result {
    private final Map<Recorded, Double> errors = new EnumMap<>(Recorded.class);
    private int differing;
    private boolean sameBits = true;

    boolean passed(double limit) {
      return sameBits && differing == 0 && errors.values().stream().allMatch(e -> e <= limit);
    }
  }

  @Override
  public Integer call() throws Exception {
    for (Backend.Availability a : Backend.availability()) {
      out().printf("%-8s %s%n", id(a.backend()), a.reason());
    }
    boolean passed = true;
    for (Path file : files) {
      try (Arena arena = Arena.ofShared()) {
        passed &= replay(file, TraceReader.map(file, arena));
      }
    }
    return passed ? ExitCode.OK : ExitCode.SOFTWARE;
  }

  private boolean replay(Path file, Trace trace) {
    out()
        .printf(
            "%n%s: %s, %d tensors, %d elements, %d steps%n",
            file.getFileName(), trace.rule(), trace.tensors().size(), trace.numel(), trace.steps());
    String row = "  %-8s  %-9s  %-9s  %-9s  %-9s  %s%n";
    out().printf(row, "backend", "param", "expAvg", "expAvgSq", "decisions", "bits");
    double limit = RelativeError.limit(trace.steps());
    FirstBits bits = new FirstBits();
    boolean passed = true;
    for (Backend.Availability a : Backend.availability()) {
      if (a.available()) {
        Result result = replay(trace, a.backend(), bits);
        out()
            .printf(
                row,
                id(a.backend()),
                error(result.errors.get(Recorded.PARAM)),
                error(result.errors.get(Recorded.EXP_AVG)),
                error(result.errors.get(Recorded.EXP_AVG_SQ)),
                trace.rule() == Rule.SPD ? result.differing : "-",
                result.sameBits ? "same" : "differ");
        passed &= result.passed(limit);
      }
    }
    out().printf("  %s: errors may be %s%n", passed ? "passed" : "FAILED", error(limit));
    return passed;
  }

  private Result replay(Trace trace, Backend backend, FirstBits bits) {
    Result result = new Result();
    // A device has threads of its own.
    for (int count : backend == Backend.CUDA ? List.of(1) : threads) {
      try (TraceRun run = new TraceRun(trace, backend, count)) {
        Map<Recorded, RelativeError> errors = new EnumMap<>(Recorded.class);
        for (Recorded array : Recorded.values()) {
          errors.put(array, new RelativeError(trace, array));
        }
        for (int k = 0; k < trace.steps(); k++) {
          run.step(k);
          for (int i = 0; i < trace.tensors().size(); i++) {
            // The other copies have the same errors if they have the same bits.
            StepOutput first = run.output(run.copies().getFirst().get(i));
            for (RelativeError error : errors.values()) {
              error.look(i, k, first);
            }
            for (List<Parameter> copy : run.copies()) {
              result.sameBits &= bits.same(i, k, run.output(copy.get(i)));
              if (trace.rule() == Rule.SPD && differs(trace, i, k, run.report(copy.get(i)))) {
                result.differing++;
              }
            }
          }
        }
        errors.forEach((array, e) -> result.errors.merge(array, e.worst(), Math::max));
      }
    }
    return result;
  }

  private static boolean differs(Trace trace, int tensor, int k, SpdReport report) {
    double recorded = trace.tensors().get(tensor).steps().get(k).condition();
    return report.selected() != (recorded < 0)
        || Math.signum(report.condition()) != Math.signum(recorded);
  }

  private PrintWriter out() {
    return spec.commandLine().getOut();
  }

  private static String id(Backend backend) {
    return backend.id();
  }

  private static String error(double error) {
    return "%.2e".formatted(error);
  }
}
