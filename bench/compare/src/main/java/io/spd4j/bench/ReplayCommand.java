package io.spd4j.bench;

import io.spd4j.Backend;
import io.spd4j.MomentType;
import io.spd4j.Parameter;
import io.spd4j.bench.Trace.Recorded;
import io.spd4j.finetune.cli.Count;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.IntToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.Stream;
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
      "With --state other than float32, a trace's floats are stored otherwise before the first step: "
          + "split has the bits of float32; the others are rounded, stochastically after each step, "
          + "but as the random bits say, which are the same on every backend. A step is then judged "
          + "with its rounding: float64 knows the random bits. 'From float32' says how far the run "
          + "is from ours in float32: the largest distance of an element, and that of an array in "
          + "root mean squares.",
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

  @Option(
      names = "--state",
      defaultValue = "float32",
      converter = State.Converter.class,
      description = "How the arrays are stored: " + State.HELP + "; default: ${DEFAULT-VALUE}.")
  private State state;

  /** The worst values over a backend's runs. */
  private static final class Result {
    private final Map<Recorded, Double> toFloat64 = new EnumMap<>(Recorded.class);
    private final Map<Recorded, Double> toRecording = new EnumMap<>(Recorded.class);
    private final Map<Recorded, Double> toFloat32 = new EnumMap<>(Recorded.class);
    private final Map<Recorded, Double> toFloat32Rms = new EnumMap<>(Recorded.class);
    private final Set<String> faults = new LinkedHashSet<>();
    private double part;
    private int wrong;
    private int close;
    private long unbounded;
    private int apart;
    private int apartFromFloat32;

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
    if (trace.amsgrad() && state.moments() == MomentType.BLOCKWISE_8BIT) {
      out().printf("  not replayed: there is no AMSGrad with 8-bit moments%n");
      return true;
    }
    row("", "to float64", "", "", "to the recording", "", "", "a step's", "wrong", "");
    row("run", "param", "expAvg", "expAvgSq", "param", "expAvg", "expAvgSq", "part", "c", "bits");
    Result recording = recording(trace);
    row("recorded", recording, trace, "-");
    FirstBits bits = new FirstBits();
    Set<String> faults = new LinkedHashSet<>();
    Result ours = null;
    List<List<StepOutput>> float32 = state.equals(State.FLOAT32) ? null : float32(trace);
    if (state.equals(State.SPLIT)) {
      for (int k = 0; k < trace.steps(); k++) {
        for (int i = 0; i < trace.tensors().size(); i++) {
          bits.same(i, k, 0, float32.get(k).get(i)); // the first run, whose bits all must have
        }
      }
    }
    for (Backend.Availability a : Backend.availability()) {
      if (a.available()) {
        Result result = replay(trace, a.backend(), bits, float32);
        boolean same = !result.faults.contains(OTHER_BITS);
        row(a.backend().id(), result, trace, same ? "same" : "differ");
        result.faults.forEach(fault -> faults.add(a.backend().id() + ": " + fault));
        ours = ours == null ? result : ours;
      }
    }
    if (ours != null) {
      out().printf("  %s%n", share(ours, recording));
      if (!state.isExact()) {
        out().printf("  from float32: %s%n", fromFloat32(ours));
        note(
            "tensors that no longer count, because float32 decided differently",
            ours.apartFromFloat32);
      }
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
    cells[cell++] = String.format(Locale.ROOT, "%.3g", result.part);
    cells[cell++] = trace.rule() == Rule.SPD ? result.wrong : "-";
    cells[cell] = bits;
    row(cells);
  }

  private void row(Object... cells) {
    out().printf("  %-8s  %-9s %-9s %-9s   %-9s %-9s %-9s   %-8s  %-5s  %s%n", cells);
  }

  private static Result recording(Trace trace) {
    Judge judge = Judge.ofRecording(trace);
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
  TraceRun run(Trace trace, State state, Backend backend, int count) {
    return new TraceRun(trace, state, backend, count);
  }

  /** Returns what our float32 run has after each step. */
  private static List<List<StepOutput>> float32(Trace trace) {
    List<List<StepOutput>> outputs = new ArrayList<>();
    try (TraceRun run = new TraceRun(trace, State.FLOAT32, Backend.SCALAR, 1)) {
      for (int k = 0; k < trace.steps(); k++) {
        run.step(k);
        outputs.add(run.copies().getFirst().stream().map(p -> copy(run.output(p))).toList());
      }
    }
    return outputs;
  }

  private static StepOutput copy(StepOutput o) {
    return new StepOutput(
        copy(o.data()),
        copy(o.expAvg()),
        copy(o.expAvgSq()),
        copy(o.maxExpAvgSq()),
        o.condition(),
        null);
  }

  private static MemorySegment copy(MemorySegment floats) {
    return floats == null ? null : MemorySegment.ofArray(floats.toArray(ValueLayout.JAVA_FLOAT));
  }

  private static String fromFloat32(Result result) {
    return Stream.of(Recorded.values())
        .map(array ->
            "%s at most %s (rms %s)"
                .formatted(
                    array,
                    distance(result.toFloat32.get(array)),
                    distance(result.toFloat32Rms.get(array))))
        .collect(Collectors.joining(", "));
  }

  /**
   * Replays a trace on a backend.
   *
   * @param float32 what our float32 run had; null if this is one
   */
  private Result replay(
      Trace trace, Backend backend, FirstBits bits, List<List<StepOutput>> float32) {
    Result result = new Result();
    // A device has its own threads.
    for (int count : backend == Backend.CUDA ? List.of(1) : threads) {
      try (TraceRun run = run(trace, state, backend, count)) {
        List<Parameter> judged = run.copies().getFirst();
        Judge judge = Judge.ofRun(trace, judged.stream().map(run::onHost).toList(), TraceRun.SEED);
        Distances toRecording = new Distances(trace);
        Distances toFloat32 = new Distances(trace);
        for (int k = 0; k < trace.steps(); k++) {
          run.step(k);
          for (int i = 0; i < trace.tensors().size(); i++) {
            // The other copies need no judgement of their own: float32's have the same bits, and
            // rounded ones differ by random bits only.
            StepOutput first = run.output(judged.get(i));
            judge.look(i, k, first);
            look(toRecording, i, first, trace.tensors().get(i).steps().get(k).after());
            if (float32 != null) {
              look(toFloat32, i, first, float32.get(k).get(i));
            }
            for (int c = 0; c < run.copies().size(); c++) {
              StepOutput copy = run.output(run.copies().get(c).get(i));
              if (!bits.same(i, k, state.isExact() ? 0 : c, copy)) {
                result.faults.add(OTHER_BITS);
              }
            }
          }
        }
        result.add(judge);
        result.apart = Math.max(result.apart, toRecording.apart());
        result.apartFromFloat32 = Math.max(result.apartFromFloat32, toFloat32.apart());
        for (Recorded array : Recorded.values()) {
          result.toRecording.merge(array, toRecording.worst(array), Math::max);
          result.toFloat32.merge(array, toFloat32.worst(array), Math::max);
          result.toFloat32Rms.merge(array, toFloat32.worstRms(array), Math::max);
        }
      }
    }
    return result;
  }

  private static void look(Distances distances, int tensor, StepOutput output, StepOutput other) {
    distances.look(tensor, output, other.selected(), array -> floats(array.of(other)));
  }

  private PrintWriter out() {
    return spec.commandLine().getOut();
  }

  private static IntToDoubleFunction floats(MemorySegment segment) {
    return element -> segment.getAtIndex(ValueLayout.JAVA_FLOAT, element);
  }

  private static String distance(double distance) {
    return String.format(Locale.ROOT, "%.2e", distance);
  }
}
