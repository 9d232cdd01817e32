package io.spd4j.bench;

import io.spd4j.Parameter;
import java.lang.foreign.MemorySegment;

/**
 * What steps have made of a parameter, in memory that the host reads.
 *
 * @param maxExpAvgSq null without AMSGrad
 */
record StepOutput(
    MemorySegment data, MemorySegment expAvg, MemorySegment expAvgSq, MemorySegment maxExpAvgSq) {
  static StepOutput of(Parameter parameter, ArrayMemory memory) {
    MemorySegment max = parameter.maxExpAvgSq();
    return new StepOutput(
        memory.output(parameter.data()),
        memory.output(parameter.expAvg()),
        memory.output(parameter.expAvgSq()),
        max == null ? null : memory.output(max));
  }
}
