package io.spd4j.bench;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.Adam;
import io.spd4j.Backend;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * An optimizer over random arrays that stay sane for a million steps: no value gets near overflow
 * or the subnormals, and what SPD finds stays as it was.
 */
final class Workload implements AutoCloseable {
  private static final long SEED = 20241103;

  /** A cache line, and the widest vector. */
  private static final long ALIGNMENT = 64;

  private static final double LR = 1e-6;

  /** So close to 1 that the brought first moments keep their signs, whatever the gradients say. */
  private static final double BETA1 = 0.999999;

  /** So many that no bias is left to correct: with that β1 the correction would be huge. */
  private static final long STEPS_TAKEN = 100_000_000;

  private final Arena arena = Arena.ofShared();
  private final SplittableRandom random = new SplittableRandom(SEED);
  private final Select select;
  private final boolean anchored;
  private final Adam adam;

  /**
   * @param backend null: the library's choice
   */
  Workload(Shape shape, Rule rule, Select select, Backend backend, int threads) {
    this.select = select;
    anchored = shape.anchored() && rule != Rule.ADAMW;
    Adam.Builder builder = Adam.builder().threads(threads);
    if (backend != null) {
      builder.backend(backend);
    }
    boolean ready = false;
    try {
      adam =
          builder
              .group(
                  ParameterGroup.builder()
                      .lr(LR)
                      .betas(BETA1, 0.999)
                      .decay(rule.decay(rule == Rule.SPD ? 1 : 0.01))
                      .parameters(parameters(shape.tensors()))
                      .build())
              .build();
      ready = true;
    } finally {
      if (!ready) {
        arena.close();
      }
    }
  }

  /** Arrays of one kind lie together, as a trainer would have them. */
  private List<Parameter> parameters(List<Long> tensors) {
    long bytes = tensors.stream().mapToLong(Workload::alignedSize).sum();
    MemorySegment data = arena.allocate(bytes, ALIGNMENT);
    MemorySegment gradient = arena.allocate(bytes, ALIGNMENT);
    MemorySegment anchor = anchored ? arena.allocate(bytes, ALIGNMENT) : null;
    MemorySegment expAvg = arena.allocate(bytes, ALIGNMENT);
    MemorySegment expAvgSq = arena.allocate(bytes, ALIGNMENT);
    List<Parameter> parameters = new ArrayList<>();
    long at = 0;
    for (long numel : tensors) {
      long size = numel * Float.BYTES;
      Parameter parameter =
          Parameter.builder("tensor " + parameters.size(), data.asSlice(at, size))
              .gradient(gradient.asSlice(at, size))
              .anchor(anchored ? anchor.asSlice(at, size) : null)
              .moments(expAvg.asSlice(at, size), expAvgSq.asSlice(at, size))
              .step(STEPS_TAKEN)
              .build();
      fill(parameter);
      parameters.add(parameter);
      at += alignedSize(numel);
    }
    return parameters;
  }

  private static long alignedSize(long numel) {
    return Math.ceilDiv(numel * Float.BYTES, ALIGNMENT) * ALIGNMENT;
  }

  /**
   * SPD selects a tensor where the gradient points along the deviation, and projects it where the
   * update, which follows the first moment, leads further away nevertheless. So for ALL gradient
   * and first moment have opposite signs, and it is the larger one that is to last.
   */
  private void fill(Parameter p) {
    for (long i = 0; i < p.numel(); i++) {
      long bits = random.nextLong();
      float deviation = signed(bits, 1e-2f);
      float gradient = signed(bits >>> 12, 1e-3f);
      float expAvg = signed(bits >>> 24, 1e-2f);
      if (select != Select.NATURAL) {
        gradient = Math.copySign(gradient, select == Select.ALL ? deviation : -deviation);
        expAvg = Math.copySign(expAvg, -deviation);
      }
      float anchor = anchored ? signed(bits >>> 36, 3e-2f) : 0;
      if (anchored) {
        p.anchor().setAtIndex(JAVA_FLOAT, i, anchor);
      }
      p.data().setAtIndex(JAVA_FLOAT, i, anchor + deviation);
      p.gradient().setAtIndex(JAVA_FLOAT, i, gradient);
      p.expAvg().setAtIndex(JAVA_FLOAT, i, expAvg);
      p.expAvgSq().setAtIndex(JAVA_FLOAT, i, gradient * gradient);
    }
  }

  /** A value of 1 to 2 times the scale from the lowest 12 bits, one of them for the sign. */
  private static float signed(long bits, float scale) {
    float magnitude = scale * (1 + (bits & 0x7ff) * 0x1p-11f);
    return (bits & 0x800) == 0 ? magnitude : -magnitude;
  }

  Adam adam() {
    return adam;
  }

  /** Bytes of all arrays that a step touches. */
  long footprint() {
    return numel() * Float.BYTES * (anchored ? 5 : 4);
  }

  /** Bytes that the last step read and wrote. */
  long traffic() {
    long projected =
        adam.parameters().stream()
            .filter(p -> adam.spdReport(p).filter(r -> r.selected() && r.ratio() > 0).isPresent())
            .mapToLong(Parameter::numel)
            .sum();
    int update = anchored ? 8 : 7; // reads θ g m v (θ0), writes θ m v
    int projection = anchored ? 3 : 2; // reads θ (θ0), writes θ
    return (numel() * update + projected * projection) * Float.BYTES;
  }

  long numel() {
    return adam.parameters().stream().mapToLong(Parameter::numel).sum();
  }

  @Override
  public void close() {
    adam.close();
    arena.close();
  }
}
