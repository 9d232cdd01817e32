package io.spd4j.bench;

import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.bench.Trace.Recorded;
import io.spd4j.bench.Trace.Tensor;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.oracle.Bounded;
import io.spd4j.oracle.Computation;
import io.spd4j.oracle.Float64Run;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Checks a run of a trace against float64. Each step is judged alone: float64 takes the same step
 * from the values that the run had before it. The distance from a float64 run of the whole trace is
 * measured but not judged, because strong projections amplify the rounding errors of every earlier
 * step.
 */
final class Judge {
  private final Trace trace;
  private final List<Float64Run> steps = new ArrayList<>();
  private final List<Float64Run> whole = new ArrayList<>();
  private final Distances distances;
  private final List<String> wrongDecisions = new ArrayList<>();
  private double worst;
  private String worstPlace = "nothing";
  private int closeDecisions;
  private long unbounded;

  private Judge(Trace trace, Computation computation) {
    this.trace = trace;
    ParameterGroup group = trace.group().build();
    for (Tensor tensor : trace.tensors()) {
      whole.add(new Float64Run(group, computation, tensor.init(), tensor.anchor()));
    }
    distances = new Distances(trace);
  }

  /** Judges the recording. */
  static Judge ofRecording(Trace trace) {
    Judge judge = new Judge(trace, Computation.RECORDED);
    ParameterGroup group = trace.group().build();
    for (Tensor tensor : trace.tensors()) {
      judge.steps.add(new Float64Run(group, Computation.RECORDED, tensor.init(), tensor.anchor()));
    }
    return judge;
  }

  /**
   * Judges a run of ours.
   *
   * @param start the run's parameters before the first step
   * @param seed of the run's random bits
   */
  static Judge ofRun(Trace trace, List<Parameter> start, long seed) {
    Judge judge = new Judge(trace, Computation.CONTRACT);
    ParameterGroup group = trace.group().build();
    start.forEach(p -> judge.steps.add(new Float64Run(group, p, seed)));
    return judge;
  }

  /** Judges a tensor after step k, counted from 0. */
  void look(int tensor, int k, StepOutput after) {
    MemorySegment gradient = trace.tensors().get(tensor).steps().get(k).grad();
    Float64Run step = steps.get(tensor);
    Float64Run run = whole.get(tensor);
    boolean recorded = after.stored() == null;
    step.step(recorded ? gradient : after.stored().gradient(), 1, after.selected());
    run.step(gradient, 1, after.selected());
    if (trace.rule() == Rule.SPD) {
      lookAtDecision(tensor, k, step, after);
    }
    for (Recorded array : Recorded.values()) {
      look(array.of(step).part(array.stored(after)), array + place(tensor, k));
      unbounded += array.of(step).unbounded();
    }
    distances.look(
        tensor, after, run.selected(), array -> element -> array.of(run).get(element).value());
    if (recorded) {
      step.goOnFrom(after.data(), after.expAvg(), after.expAvgSq(), after.maxExpAvgSq());
    } else {
      step.goOnFrom(after.stored());
    }
  }

  private void lookAtDecision(int tensor, int k, Float64Run step, StepOutput after) {
    Bounded c = step.condition();
    look(c.part(after.condition()), "c" + place(tensor, k));
    if (step.isClose()) {
      closeDecisions++;
    } else if (step.selected() != after.selected()) {
      wrongDecisions.add(
          String.format(
              Locale.ROOT,
              "SPD decided differently on p%d in step %d, where float64's c = %.2e ± %.0e",
              tensor,
              k + 1,
              c.value(),
              c.error()));
    }
  }

  private void look(double part, String where) {
    if (part > worst) {
      worst = part;
      worstPlace = where;
    }
  }

  private static String place(int tensor, int k) {
    return " of p%d after step %d".formatted(tensor, k + 1);
  }

  /** Returns the largest error of a step, divided by the error that rounding explains. */
  double worst() {
    return worst;
  }

  /** Returns the number of decisions that float64 clearly makes differently. */
  int wrongDecisions() {
    return wrongDecisions.size();
  }

  /** Returns the number of decisions that are too close to call in float32. */
  int closeDecisions() {
    return closeDecisions;
  }

  /** Returns the number of values that are not judged, because float32 overflows or underflows. */
  long unbounded() {
    return unbounded;
  }

  /** Returns what is wrong with the run; empty if nothing is. */
  List<String> faults() {
    List<String> faults = new ArrayList<>(wrongDecisions);
    if (worst > 1) {
      faults.add(
          String.format(
              Locale.ROOT,
              "%s is %.3g times as far from float64 as rounding explains",
              worstPlace,
              worst));
    }
    return faults;
  }

  /** Returns an array's distance from a float64 run of the whole trace. */
  double distance(Recorded array) {
    return distances.worst(array);
  }
}
