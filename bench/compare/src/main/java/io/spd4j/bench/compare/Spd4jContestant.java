package io.spd4j.bench.compare;

import io.spd4j.Adam;
import io.spd4j.Backend;
import io.spd4j.Diagnostics;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.SpdReport;
import io.spd4j.bench.contest.ArrayKind;
import io.spd4j.bench.contest.Contestant;
import io.spd4j.bench.contest.Setup;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/** Our own step, with one of its backends. */
final class Spd4jContestant implements Contestant {
  /** A cache line, and the widest vector. */
  private static final long ALIGNMENT = 64;

  private final Backend backend;
  private final Map<ArrayKind, List<MemorySegment>> arrays = new EnumMap<>(ArrayKind.class);
  private Setup setup;
  private Arena arena;
  private Adam adam;

  Spd4jContestant(Backend backend) {
    this.backend = backend;
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
    arena = Arena.ofShared();
    for (ArrayKind kind : setup.arrays()) {
      arrays.put(kind, allocate());
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
    adam = Adam.builder().group(group).threads(setup.threads()).backend(backend).build();
  }

  /** Arrays of one kind lie together, as a trainer would have them. */
  private List<MemorySegment> allocate() {
    long bytes = setup.tensors().stream().mapToLong(Spd4jContestant::alignedSize).sum();
    MemorySegment all = arena.allocate(bytes, ALIGNMENT);
    List<MemorySegment> parts = new ArrayList<>();
    long at = 0;
    for (long numel : setup.tensors()) {
      parts.add(all.asSlice(at, numel * Float.BYTES));
      at += alignedSize(numel);
    }
    return parts;
  }

  private static long alignedSize(long numel) {
    return Math.ceilDiv(numel * Float.BYTES, ALIGNMENT) * ALIGNMENT;
  }

  private Parameter parameter(int tensor) {
    return Parameter.builder("tensor " + tensor, array(ArrayKind.DATA, tensor))
        .gradient(array(ArrayKind.GRADIENT, tensor))
        .anchor(setup.needsAnchors() ? array(ArrayKind.ANCHOR, tensor) : null)
        .moments(array(ArrayKind.EXP_AVG, tensor), array(ArrayKind.EXP_AVG_SQ, tensor))
        .step(setup.step())
        .build();
  }

  @Override
  public MemorySegment array(ArrayKind kind, int tensor) {
    return arrays.get(kind).get(tensor);
  }

  @Override
  public void step() {
    adam.step();
  }

  /**
   * Frees what was set up.
   *
   * @throws IllegalStateException if SPD did not select in every step what the set-up says
   */
  @Override
  public void close() {
    if (arena == null) {
      return;
    }
    List<SpdReport> reports = adam == null ? List.of() : adam.spdReports();
    if (adam != null) {
      adam.close();
    }
    arena.close();
    arena = null;
    adam = null;
    arrays.clear();
    for (SpdReport report : reports) {
      if (!setup.select().agrees(report)) {
        throw new IllegalStateException("select " + setup.select() + " does not hold: " + report);
      }
    }
  }
}
