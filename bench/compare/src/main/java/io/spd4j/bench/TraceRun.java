package io.spd4j.bench;

import io.spd4j.Adam;
import io.spd4j.Backend;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.SpdReport;
import io.spd4j.bench.contest.ArrayMemory;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Replays a trace on one backend with one number of threads. A small step would not use all
 * threads, so the optimizer steps enough copies of the trace's tensors to use them.
 */
class TraceRun implements AutoCloseable {
  /** More elements than the library requires before it wakes a thread. */
  private static final long ELEMENTS_PER_THREAD = 1 << 16;

  private final Trace trace;
  private final ArrayMemory memory;
  private final List<List<Parameter>> copies = new ArrayList<>();
  private final Adam adam;

  TraceRun(Trace trace, Backend backend, int threads) {
    this.trace = trace;
    memory = new ArrayMemory(backend);
    List<MemorySegment> anchors = trace.tensors().stream().map(this::anchor).toList();
    ParameterGroup.Builder group = trace.group();
    long wanted = Math.ceilDiv(threads * ELEMENTS_PER_THREAD, trace.numel());
    for (long c = 0; c < wanted; c++) {
      List<Parameter> copy = new ArrayList<>();
      for (int i = 0; i < anchors.size(); i++) {
        MemorySegment data = memory.copyOf(trace.tensors().get(i).init());
        String name = "p" + i + " of copy " + c;
        copy.add(Parameter.builder(name, data).anchor(anchors.get(i)).build());
      }
      group.parameters(copy);
      copies.add(copy);
    }
    adam = memory.adam().group(group.build()).threads(threads).build();
  }

  private MemorySegment anchor(Trace.Tensor tensor) {
    return tensor.anchor() == null ? null : memory.input(tensor.anchor());
  }

  /** Takes step k, counted from 0. */
  void step(int k) {
    for (int i = 0; i < trace.tensors().size(); i++) {
      MemorySegment gradient = memory.input(trace.tensors().get(i).steps().get(k).grad());
      for (List<Parameter> copy : copies) {
        copy.get(i).gradient(gradient);
      }
    }
    adam.step();
  }

  /** Returns each copy's parameters in the order of the trace's tensors. */
  List<List<Parameter>> copies() {
    return copies;
  }

  /** Returns a parameter's arrays after the steps so far. */
  StepOutput output(Parameter parameter) {
    MemorySegment max = parameter.maxExpAvgSq();
    return new StepOutput(
        memory.output(parameter.data()),
        memory.output(parameter.expAvg()),
        memory.output(parameter.expAvgSq()),
        max == null ? null : memory.output(max),
        adam.spdReport(parameter).map(SpdReport::condition).orElse(0.0));
  }

  @Override
  public void close() {
    adam.close();
    memory.close();
  }
}
