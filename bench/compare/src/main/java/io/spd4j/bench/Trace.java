package io.spd4j.bench;

import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.oracle.BoundedArray;
import io.spd4j.oracle.Float64Run;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.Function;

/** A recorded run of an optimizer: its settings, and each tensor's start, anchor and steps. */
record Trace(
    Rule rule,
    double lambda,
    double lr,
    double beta1,
    double beta2,
    double eps,
    boolean amsgrad,
    boolean maximize,
    List<Tensor> tensors) {

  /**
   * A tensor.
   *
   * @param anchor null: the origin
   */
  record Tensor(MemorySegment init, MemorySegment anchor, List<Step> steps) {}

  /** A gradient, and the arrays recorded after the step. */
  record Step(MemorySegment grad, StepOutput after) {}

  /** The arrays that are recorded after a step. */
  enum Recorded {
    PARAM("param", StepOutput::data, Float64Run::values, Float64Run::param),
    EXP_AVG("expAvg", StepOutput::expAvg, Parameter::expAvg, Float64Run::expAvg),
    EXP_AVG_SQ("expAvgSq", StepOutput::expAvgSq, Parameter::expAvgSq, Float64Run::expAvgSq);

    private final String title;
    private final Function<StepOutput, MemorySegment> floats;
    private final Function<Parameter, MemorySegment> stored;
    private final Function<Float64Run, BoundedArray> float64;

    Recorded(
        String title,
        Function<StepOutput, MemorySegment> floats,
        Function<Parameter, MemorySegment> stored,
        Function<Float64Run, BoundedArray> float64) {
      this.title = title;
      this.floats = floats;
      this.stored = stored;
      this.float64 = float64;
    }

    MemorySegment of(StepOutput output) {
      return floats.apply(output);
    }

    /** Returns the array as the run stores it. */
    MemorySegment stored(StepOutput output) {
      return output.stored() == null ? of(output) : stored.apply(output.stored());
    }

    BoundedArray of(Float64Run run) {
      return float64.apply(run);
    }

    @Override
    public String toString() {
      return title;
    }
  }

  /** Returns the number of steps. */
  int steps() {
    return tensors.getFirst().steps().size();
  }

  /** Returns the number of elements of all tensors. */
  long numel() {
    return tensors.stream().mapToLong(t -> t.init().byteSize() / Float.BYTES).sum();
  }

  /** Returns a group builder with the trace's settings. */
  ParameterGroup.Builder group() {
    return ParameterGroup.builder()
        .lr(lr)
        .betas(beta1, beta2)
        .eps(eps)
        .amsgrad(amsgrad)
        .maximize(maximize)
        .decay(rule.decay(lambda));
  }
}
