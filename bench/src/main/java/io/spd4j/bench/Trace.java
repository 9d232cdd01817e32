package io.spd4j.bench;

import io.spd4j.ParameterGroup;
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

  /**
   * A gradient, and what must be there after the step.
   *
   * @param condition SPD's c, 0 with other rules
   */
  record Step(
      MemorySegment grad,
      MemorySegment param,
      MemorySegment expAvg,
      MemorySegment expAvgSq,
      double condition) {}

  /** The arrays that are recorded after a step. */
  enum Recorded {
    PARAM(Step::param, StepOutput::data),
    EXP_AVG(Step::expAvg, StepOutput::expAvg),
    EXP_AVG_SQ(Step::expAvgSq, StepOutput::expAvgSq);

    private final Function<Step, MemorySegment> recorded;
    private final Function<StepOutput, MemorySegment> actual;

    Recorded(Function<Step, MemorySegment> recorded, Function<StepOutput, MemorySegment> actual) {
      this.recorded = recorded;
      this.actual = actual;
    }

    MemorySegment of(Step step) {
      return recorded.apply(step);
    }

    MemorySegment of(StepOutput output) {
      return actual.apply(output);
    }
  }

  /** The steps of each tensor. */
  int steps() {
    return tensors.getFirst().steps().size();
  }

  /** The elements of all tensors. */
  long numel() {
    return tensors.stream().mapToLong(t -> t.init().byteSize() / Float.BYTES).sum();
  }

  /** The settings. */
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
