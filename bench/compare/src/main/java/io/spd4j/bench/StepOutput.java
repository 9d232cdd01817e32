package io.spd4j.bench;

import java.lang.foreign.MemorySegment;

/**
 * What steps have made of a parameter, in memory that the host reads.
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
  /** What SPD decided. */
  boolean selected() {
    return condition < 0;
  }
}
