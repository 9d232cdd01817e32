package io.spd4j.bench;

import java.lang.foreign.MemorySegment;

/**
 * A parameter's arrays after some steps, in host memory.
 *
 * @param maxExpAvgSq null without AMSGrad, and in a trace
 * @param condition SPD's c in the last step, 0 with other rules
 */
record StepOutput(
    MemorySegment data,
    MemorySegment expAvg,
    MemorySegment expAvgSq,
    MemorySegment maxExpAvgSq,
    double condition) {
  /** Returns whether SPD selected the parameter in the last step. */
  boolean selected() {
    return condition < 0;
  }
}
