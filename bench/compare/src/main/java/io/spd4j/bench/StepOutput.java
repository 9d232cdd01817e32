package io.spd4j.bench;

import io.spd4j.Parameter;
import java.lang.foreign.MemorySegment;

/**
 * A parameter's float32 values after some steps, in host memory.
 *
 * @param maxExpAvgSq null without AMSGrad, and in a trace
 * @param condition SPD's c in the last step, 0 with other rules
 * @param stored the arrays that hold these values; null in a trace
 */
record StepOutput(
    MemorySegment data,
    MemorySegment expAvg,
    MemorySegment expAvgSq,
    MemorySegment maxExpAvgSq,
    double condition,
    Parameter stored) {
  /** Returns whether SPD selected the parameter in the last step. */
  boolean selected() {
    return condition < 0;
  }
}
