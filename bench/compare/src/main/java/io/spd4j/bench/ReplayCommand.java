package io.spd4j.bench;

import io.spd4j.Backend;
import io.spd4j.Parameter;
import io.spd4j.bench.Trace.Recorded;
import io.spd4j.finetune.cli.Count;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.oracle.Computation;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.IntToDoubleFunction;
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
      "Replays recorded optimizer traces on every available backend with several numbers of "
          + "threads, next to the same equations in float64.",
      "A run fails if its bits differ from the first run's, or if a step is farther from the step "
          + "that float64 takes from the same values than float32 rounding explains. That bound is "
          + "computed for each element from its operations; 'part' is the largest error divided by "
          + "its bound, so more than 1 is a fault. An SPD decision is wrong ('wrong c') if float64 "
          + "decides differently and its c is farther from 0 than rounding explains; otherwise it "
          + "is too close to call.",
      "The recording is judged in the same way, but it may round twice as often, because its "
          + "operations are different and may add in any order. Its faults are reported but fail "
          + "nothing.",
      "The distances are the largest of the whole trace, from a float64 run and from the recording. "
          + "They show which side causes a difference and are not judged: strong projections "
          + "amplify the rounding errors of all earlier steps. An element's distance is relative to "
          + "the largest magnitude that it has had so far, or to 1/1000 of the array's root mean "
          + "square if that is larger. A tensor no longer counts after a decision in which the two "
          + "sides differ.",
    },
    footer = {"", "Example: java -jar spd4j-bench.jar replay --threads 1,4 spd.safetensors"})
class ReplayCommand implements Callable<Integer> {
  private static final String OTHER_BITS = "not all runs have the same bits";

  @Spec private CommandSpec spec;

  @Parameters(arity = "1..*", paramLabel = "FILE", description = "Traces (safetensors).")
  private List<Path> files;

  @Option(
      names = "--threads",
      split = ",",
      defaultValue = "1,2,3,7",
      paramLabel = "T",
      converter = Count.class,
      description = "Numbers of threads, for every backend except cuda; default: ${DEFAULT-VALUE}.")
  private List<Integer> threads;

  /** The worst values over a backend's runs. */
  private static final class Result {
    private final Map<Recorded, Double> toFloat64 = new EnumMap<>(Recorded.class);
    private final Map<Recorded, Double> toRecording = new EnumMap<>(Recorded.class);
    private final Set<String> faults = new LinkedHashSet<>();
    private double part;
    private int wrong;
    private int close;
    private long unbounded;
    private int apart;

    void add(Judge judge) {
      faults.addAll(judge.faults());
      part = Math.max(part, judge.worst());
      wrong = Math.max(wrong, judge.wrongDecisions());
      close = Math.max(close, judge.closeDecisions());
      unbounded = Math.max(unbounded, judge.unbounded());
      for (Recorded array : Recorded.values()) {
        toFloat64.merge(array, judge.distance(array), Math::max);
      }
    }
  }

  @Override
  public Integer call() throws Exception {
    for (Backend.Availability a : Backend.availability()) {
      out().printf("%-8s %s%n", a.backend().id(), a.reason());
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
    row("", "to float64", "", "", "to the recording", "", "", "a step's", "wrong", "");
    row("run", "param", "expAvg", "expAvgSq", "param", "expAvg", "expAvgSq", "part", "c", "bits");
    Result recording = recording(trace);
    row("recorded", recording, trace, "-");
    FirstBits bits = new FirstBits();
    Set<String> faults = new LinkedHashSet<>();
    Result ours = null;
    for (Backend.Availability a : Backend.availability()) {
      if (a.available()) {
        Result result = replay(trace, a.backend(), bits);
        boolean same = !result.faults.contains(OTHER_BITS);
        row(a.backend().id(), result, trace, same ? "same" : "differ");
        result.faults.forEach(fault -> faults.add(a.backend().id() + ": " + fault));
        ours = ours == null ? result : ours;
      }
    }
    if (ours != null) {
      out().printf("  %s%n", share(ours, recording));
      note("decisions that are too close to call in float32", ours.close);
      note("tensors that no longer count, because the recording decided differently", ours.apart);
      note("values that are not judged, because float32 overflows or underflows", ours.unbounded);
    }
    recording.faults.forEach(fault -> out().printf("  the recording's own error: %s%n", fault));
    faults.forEach(fault -> out().printf("  FAILED: %s%n", fault));
    if (faults.isEmpty()) {
      out().printf("  passed%n");
    }
    return faults.isEmpty();
  }

  /** Says which side causes the difference. */
  private static String share(Result ours, Result recording) {
    double apart = ours.toRecording.get(Recorded.PARAM);
    double our = ours.toFloat64.get(Recorded.PARAM);
    double its = recording.toFloat64.get(Recorded.PARAM);
    String whose =
        its > 2 * our ? "mostly the recording's" : our > 2 * its ? "mostly ours" : "both";
    return "params are %s apart: %s (distance from float64: recording %s, ours %s)"
        .formatted(distance(apart), whose, distance(its), distance(our));
  }

  private void note(String what, long count) {
    if (count > 0) {
      out().printf("  %s: %d%n", what, count);
    }
  }

  private void row(String name, Result result, Trace trace, String bits) {
    Object[] cells = new Object[10];
    int cell = 0;
    cells[cell++] = name;
    for (Map<Recorded, Double> distances : List.of(result.toFloat64, result.toRecording)) {
      for (Recorded array : Recorded.values()) {
        cells[cell++] = distances.containsKey(array) ? distance(distances.get(array)) : "-";
      }
    }
    cells[cell++] = "%.3g".formatted(result.part);
    cells[cell++] = trace.rule() == Rule.SPD ? result.wrong : "-";
    cells[cell] = bits;
    row(cells);
  }

  private void row(Object... cells) {
    out().printf("  %-8s  %-9s %-9s %-9s   %-9s %-9s %-9s   %-8s  %-5s  %s%n", cells);
  }

  private static Result recording(Trace trace) {
    Judge judge = new Judge(trace, Computation.RECORDED);
    for (int k = 0; k < trace.steps(); k++) {
      for (int i = 0; i < trace.tensors().size(); i++) {
        judge.look(i, k, trace.tensors().get(i).steps().get(k).after());
      }
    }
    Result result = new Result();
    result.add(judge);
    return result;
  }

  /** Starts a run. Tests override this to make a faulty one. */
  TraceRun run(Trace trace, Backend backend, int count) {
    return new TraceRun(trace, backend, count);
  }

  private Result replay(Trace trace, Backend backend, FirstBits bits) {
    Result result = new Result();
    // A device has its own threads.
    for (int count : backend == Backend.CUDA ? List.of(1) : threads) {
      try (TraceRun run = run(trace, backend, count)) {
        Judge judge = new Judge(trace, Computation.CONTRACT);
        Distances toRecording = new Distances(trace);
        for (int k = 0; k < trace.steps(); k++) {
          run.step(k);
          for (int i = 0; i < trace.tensors().size(); i++) {
            // Copies with the same bits need no judgement of their own.
            StepOutput first = run.output(run.copies().getFirst().get(i));
            judge.look(i, k, first);
            StepOutput recorded = trace.tensors().get(i).steps().get(k).after();
            toRecording.look(i, first, recorded.selected(), array -> floats(array.of(recorded)));
            for (List<Parameter> copy : run.copies()) {
              if (!bits.same(i, k, run.output(copy.get(i)))) {
                result.faults.add(OTHER_BITS);
              }
            }
          }
        }
        result.add(judge);
        result.apart = Math.max(result.apart, toRecording.apart());
        for (Recorded array : Recorded.values()) {
          result.toRecording.merge(array, toRecording.worst(array), Math::max);
        }
      }
    }
    return result;
  }

  private PrintWriter out() {
    return spec.commandLine().getOut();
  }

  private static IntToDoubleFunction floats(MemorySegment segment) {
    return element -> segment.getAtIndex(ValueLayout.JAVA_FLOAT, element);
  }

  private static String distance(double distance) {
    return "%.2e".formatted(distance);
  }
}
