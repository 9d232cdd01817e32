package io.spd4j.bench;

import io.spd4j.Adam;
import io.spd4j.Backend;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.SpdReport;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * A trace on one backend with one number of threads. Small steps use fewer threads than they may,
 * so one optimizer steps as many copies of the trace's tensors as it takes to use all.
 */
final class TraceRun implements AutoCloseable {
  /** More than the library asks for before it wakes a thread. */
  private static final long ELEMENTS_PER_THREAD = 1 << 16;

  private final Trace trace;
  private final Arena arena = Arena.ofShared();
  private final List<List<Parameter>> copies = new ArrayList<>();
  private final Adam adam;

  TraceRun(Trace trace, Backend backend, int threads) {
    this.trace = trace;
    ParameterGroup.Builder group = trace.group();
    long wanted = Math.ceilDiv(threads * ELEMENTS_PER_THREAD, trace.numel());
    for (long c = 0; c < wanted; c++) {
      List<Parameter> copy = new ArrayList<>();
      for (Trace.Tensor tensor : trace.tensors()) {
        copy.add(parameter("p" + copy.size() + " of copy " + c, tensor));
      }
      group.parameters(copy);
      copies.add(copy);
    }
    adam = Adam.builder().group(group.build()).backend(backend).threads(threads).build();
  }

  private Parameter parameter(String name, Trace.Tensor tensor) {
    MemorySegment data = arena.allocate(tensor.init().byteSize(), 64).copyFrom(tensor.init());
    return Parameter.builder(name, data).anchor(tensor.anchor()).build();
  }

  /** Takes step k, counted from 0. */
  void step(int k) {
    for (List<Parameter> copy : copies) {
      for (int i = 0; i < copy.size(); i++) {
        copy.get(i).gradient(trace.tensors().get(i).steps().get(k).grad());
      }
    }
    adam.step();
  }

  /** The parameters of each copy, in the order of the trace's tensors. */
  List<List<Parameter>> copies() {
    return copies;
  }

  /** What SPD did with a parameter in the last step. */
  SpdReport report(Parameter parameter) {
    return adam.spdReport(parameter).orElseThrow();
  }

  @Override
  public void close() {
    adam.close();
    arena.close();
  }
}
