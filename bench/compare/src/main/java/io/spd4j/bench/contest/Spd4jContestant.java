package io.spd4j.bench.contest;

import io.spd4j.Adam;
import io.spd4j.Backend;
import io.spd4j.Diagnostics;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.cuda.CudaException;
import io.spd4j.cuda.CudaStream;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/** Our own step on one backend. */
public final class Spd4jContestant implements Contestant {
  private final Backend backend;
  private final Map<ArrayKind, List<MemorySegment>> arrays = new EnumMap<>(ArrayKind.class);
  private Setup setup;
  private ArrayMemory memory;
  private Adam adam;

  /**
   * @param backend null: the library's choice for host memory
   */
  public Spd4jContestant(Backend backend) {
    this.backend = backend;
  }

  /**
   * Returns a contestant that is set up for timed steps.
   *
   * @param backend null: the library's choice for host memory
   * @throws Failure if the backend is not available; the message says why
   * @throws CudaException if there is not enough memory on the device, or CUDA fails
   */
  public static Spd4jContestant of(Backend backend, StepCase step) throws Failure {
    Spd4jContestant contestant = new Spd4jContestant(backend);
    boolean ready = false;
    try {
      contestant.setup(step.timed());
      Values.fill(contestant, step.timed());
      ready = true;
      return contestant;
    } catch (IllegalArgumentException | IllegalStateException unavailable) {
      throw Failure.ofInput(unavailable.getMessage());
    } finally {
      if (!ready) {
        contestant.close();
      }
    }
  }

  @Override
  public Identity identity() {
    Backend.Availability here =
        Backend.availability().stream()
            .filter(candidate -> candidate.backend() == backend)
            .findFirst()
            .orElseThrow();
    if (!here.available()) {
      throw new UnsatisfiedLinkError(here.reason());
    }
    return new Identity(
        "spd4j-" + backend.id(),
        "spd4j " + Diagnostics.version() + ", " + here.reason(),
        List.of(Rule.values()),
        Map.of());
  }

  @Override
  public void setup(Setup setup) throws Failure {
    this.setup = setup;
    memory = new ArrayMemory(backend);
    for (ArrayKind kind : setup.arrays()) {
      arrays.put(kind, allocate(storage(kind)));
    }
    ParameterGroup group =
        ParameterGroup.builder()
            .lr(setup.lr())
            .betas(setup.beta1(), setup.beta2())
            .eps(setup.eps())
            .decay(setup.rule().decay(setup.lambda()))
            .parameters(
                IntStream.range(0, setup.tensors().size()).mapToObj(this::parameter).toList())
            .build();
    adam = memory.adam().group(group).threads(setup.threads()).build();
  }

  /** Allocates all arrays of one kind together, as a trainer would. */
  private List<MemorySegment> allocate(Storage storage) {
    long bytes = setup.tensors().stream().mapToLong(n -> aligned(storage.bytes(n))).sum();
    MemorySegment all = memory.allocate(bytes);
    List<MemorySegment> parts = new ArrayList<>();
    long at = 0;
    for (long numel : setup.tensors()) {
      parts.add(all.asSlice(at, storage.bytes(numel)));
      at += aligned(storage.bytes(numel));
    }
    return parts;
  }

  private static long aligned(long bytes) {
    return Math.ceilDiv(bytes, ArrayMemory.ALIGNMENT) * ArrayMemory.ALIGNMENT;
  }

  private Parameter parameter(int tensor) {
    State state = setup.state();
    long numel = setup.tensors().get(tensor);
    MemorySegment data = arrays.get(ArrayKind.DATA).get(tensor);
    MemorySegment high = state.split() ? data.asSlice(0, numel * Short.BYTES) : data;
    return Parameter.builder("tensor " + tensor, high, state.parameter())
        .low(state.split() ? data.asSlice(Storage.low(numel)) : null)
        .gradient(arrays.get(ArrayKind.GRADIENT).get(tensor), state.gradient())
        .anchor(
            setup.needsAnchors() ? arrays.get(ArrayKind.ANCHOR).get(tensor) : null, state.anchor())
        .momentType(state.moments())
        .moments(
            arrays.get(ArrayKind.EXP_AVG).get(tensor), arrays.get(ArrayKind.EXP_AVG_SQ).get(tensor))
        .step(setup.step())
        .build();
  }

  /** Returns the memory of an array; for a device, a copy. */
  @Override
  public MemorySegment array(ArrayKind kind, int tensor) {
    return memory.output(arrays.get(kind).get(tensor));
  }

  @Override
  public float[] values(ArrayKind kind, int tensor, long from, int count) {
    return storage(kind).read(array(kind, tensor), setup.tensors().get(tensor), from, count);
  }

  @Override
  public void fill(ArrayKind kind, int tensor, Values values) {
    memory.fill(
        arrays.get(kind).get(tensor), host -> values.fill(kind, tensor, storage(kind), host));
  }

  private Storage storage(ArrayKind kind) {
    return Storage.of(setup.state(), kind);
  }

  /** Returns the optimizer; null before the set-up. */
  public Adam adam() {
    return adam;
  }

  /** Returns the stream of a device's steps; null on the host. */
  public CudaStream stream() {
    return memory.stream();
  }

  @Override
  public void step() {
    adam.step();
  }

  /**
   * Frees what was set up.
   *
   * @throws IllegalStateException if SPD selected other tensors than the set-up says
   */
  @Override
  public void close() {
    if (memory == null) {
      return;
    }
    Optional<String> fault = adam == null ? Optional.empty() : fault();
    if (adam != null) {
      adam.close();
    }
    memory.close();
    memory = null;
    adam = null;
    arrays.clear();
    if (fault.isPresent()) {
      throw new IllegalStateException(fault.get());
    }
  }

  /** Says for which parameter SPD did not select as the set-up says; empty if there is none. */
  public Optional<String> fault() {
    return adam.spdReports().stream()
        .filter(report -> !setup.select().agrees(report))
        .map(report -> "select " + setup.select() + " does not hold: " + report)
        .findFirst();
  }
}
