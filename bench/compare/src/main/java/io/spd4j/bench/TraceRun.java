package io.spd4j.bench;

import io.spd4j.Adam;
import io.spd4j.Backend;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.SpdReport;
import io.spd4j.SplitFloats;
import io.spd4j.bench.contest.ArrayKind;
import io.spd4j.bench.contest.ArrayMemory;
import io.spd4j.bench.contest.Storage;
import io.spd4j.finetune.cli.State;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;

/**
 * Replays a trace on one backend with one number of threads. A small step would not use all
 * threads, so the optimizer steps enough copies of the trace's tensors to use them.
 */
class TraceRun implements AutoCloseable {
  /** More elements than the library requires before it wakes a thread. */
  private static final long ELEMENTS_PER_THREAD = 1 << 16;

  /** Of the random bits. */
  static final long SEED = 1;

  private final Trace trace;
  private final State state;
  private final ArrayMemory memory;
  private final List<List<Parameter>> copies = new ArrayList<>();
  private final Adam adam;

  TraceRun(Trace trace, State state, Backend backend, int threads) {
    this.trace = trace;
    this.state = state;
    memory = new ArrayMemory(backend);
    List<MemorySegment> anchors = trace.tensors().stream().map(this::anchor).toList();
    ParameterGroup.Builder group = trace.group();
    long wanted = Math.ceilDiv(threads * ELEMENTS_PER_THREAD, trace.numel());
    for (long c = 0; c < wanted; c++) {
      List<Parameter> copy = new ArrayList<>();
      for (int i = 0; i < anchors.size(); i++) {
        copy.add(parameter("p" + i + " of copy " + c, trace.tensors().get(i), anchors.get(i)));
      }
      group.parameters(copy);
      copies.add(copy);
    }
    adam = memory.adam().group(group.build()).threads(threads).seed(SEED).build();
  }

  private Parameter parameter(String name, Trace.Tensor tensor, MemorySegment anchor) {
    MemorySegment data = memory.copyOf(stored(ArrayKind.DATA, tensor.init()));
    long numel = tensor.init().byteSize() / Float.BYTES;
    MemorySegment high = state.split() ? data.asSlice(0, numel * Short.BYTES) : data;
    return Parameter.builder(name, high, state.parameter())
        .low(state.split() ? data.asSlice(Storage.low(numel)) : null)
        .gradient(null, state.gradient())
        .anchor(anchor, state.anchor())
        .momentType(state.moments())
        .build();
  }

  private MemorySegment anchor(Trace.Tensor tensor) {
    return tensor.anchor() == null ? null : memory.input(stored(ArrayKind.ANCHOR, tensor.anchor()));
  }

  /** Returns floats as the state stores them, in off-heap host memory. */
  private MemorySegment stored(ArrayKind kind, MemorySegment floats) {
    Storage storage = Storage.of(state, kind);
    if (storage == Storage.FLOAT32) {
      return floats;
    }
    float[] values = floats.toArray(ValueLayout.JAVA_FLOAT);
    MemorySegment stored = Arena.ofAuto().allocate(storage.bytes(values.length), Float.BYTES);
    storage.write(stored, values.length, 0, values, values.length);
    return stored;
  }

  /** Takes step k, counted from 0. */
  void step(int k) {
    for (int i = 0; i < trace.tensors().size(); i++) {
      MemorySegment floats = trace.tensors().get(i).steps().get(k).grad();
      MemorySegment gradient = memory.input(stored(ArrayKind.GRADIENT, floats));
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

  /** Returns a parameter's values after the steps so far. */
  StepOutput output(Parameter parameter) {
    Parameter host = onHost(parameter);
    MemorySegment max = host.maxExpAvgSq();
    return new StepOutput(
        values(host),
        floats(ArrayKind.EXP_AVG, host.expAvg(), host.numel()),
        floats(ArrayKind.EXP_AVG_SQ, host.expAvgSq(), host.numel()),
        max == null ? null : floats(ArrayKind.EXP_AVG_SQ, max, host.numel()),
        adam.spdReport(parameter).map(SpdReport::condition).orElse(0.0),
        host);
  }

  private MemorySegment values(Parameter host) {
    if (!state.split()) {
      return floats(ArrayKind.DATA, host.data(), host.numel());
    }
    MemorySegment values = Arena.ofAuto().allocate(host.numel() * Float.BYTES, Float.BYTES);
    SplitFloats.join(host.data(), host.low(), values);
    return values;
  }

  /** Returns the floats of an array in host memory; if it holds them, the array itself. */
  private MemorySegment floats(ArrayKind kind, MemorySegment array, long numel) {
    Storage storage = Storage.of(state, kind);
    return storage == Storage.FLOAT32
        ? array
        : MemorySegment.ofArray(storage.read(array, numel, 0, Math.toIntExact(numel)));
  }

  /** Returns a parameter over the same arrays or, if they are on a device, over copies of them. */
  Parameter onHost(Parameter p) {
    UnaryOperator<MemorySegment> host = array -> array == null ? null : memory.output(array);
    return Parameter.builder(p.name(), memory.output(p.data()), p.type())
        .low(host.apply(p.low()))
        .gradient(host.apply(p.gradient()), p.gradientType())
        .anchor(host.apply(p.anchor()), p.anchorType())
        .momentType(p.momentType())
        .moments(memory.output(p.expAvg()), memory.output(p.expAvgSq()))
        .maxExpAvgSq(host.apply(p.maxExpAvgSq()))
        .step(p.step())
        .build();
  }

  @Override
  public void close() {
    adam.close();
    memory.close();
  }
}
