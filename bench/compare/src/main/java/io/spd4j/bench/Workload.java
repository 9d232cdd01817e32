package io.spd4j.bench;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.Adam;
import io.spd4j.Backend;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.cuda.CudaException;
import io.spd4j.finetune.cli.Rule;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.function.Supplier;
import java.util.stream.Stream;

/**
 * An optimizer over random arrays that stay sane for a million steps: no value gets near overflow
 * or the subnormals, and what SPD finds stays as it was.
 */
final class Workload implements AutoCloseable {
  private static final long SEED = 20241103;

  /** Bytes of an array that are made at a time: for a device they have to be copied. */
  private static final long PIECE = 1 << 22;

  private static final double LR = 1e-6;

  /** So close to 1 that the brought first moments keep their signs, whatever the gradients say. */
  private static final double BETA1 = 0.999999;

  /** So many that no bias is left to correct: with that β1 the correction would be huge. */
  private static final long STEPS_TAKEN = 100_000_000;

  private final SplittableRandom random = new SplittableRandom(SEED);
  private final Select select;
  private final boolean anchored;
  private final ArrayMemory memory;
  private final Adam adam;

  /**
   * The arrays of all tensors, or a piece of each.
   *
   * @param anchor null: the origin
   */
  private record Arrays(
      MemorySegment data,
      MemorySegment gradient,
      MemorySegment anchor,
      MemorySegment expAvg,
      MemorySegment expAvgSq) {
    static Arrays of(boolean anchored, Supplier<MemorySegment> array) {
      return new Arrays(
          array.get(), array.get(), anchored ? array.get() : null, array.get(), array.get());
    }

    List<MemorySegment> all() {
      return Stream.of(data, gradient, anchor, expAvg, expAvgSq).filter(Objects::nonNull).toList();
    }
  }

  /**
   * @param backend null: the library's choice for the host's memory
   * @throws IllegalStateException if the backend is not available; the message says why
   * @throws CudaException if there is not enough memory on the device, or CUDA fails
   */
  Workload(Shape shape, Rule rule, Select select, Backend backend, int threads) {
    this.select = select;
    anchored = shape.anchored() && rule != Rule.ADAMW;
    memory = new ArrayMemory(backend);
    boolean ready = false;
    try {
      adam =
          memory
              .adam()
              .threads(threads)
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
        memory.close();
      }
    }
  }

  /** Arrays of one kind lie together, as a trainer would have them. */
  private List<Parameter> parameters(List<Long> tensors) {
    long bytes = tensors.stream().mapToLong(Workload::alignedSize).sum();
    Arrays arrays = Arrays.of(anchored, () -> memory.allocate(bytes));
    fill(arrays, bytes);
    List<Parameter> parameters = new ArrayList<>();
    long at = 0;
    for (long numel : tensors) {
      long size = numel * Float.BYTES;
      parameters.add(
          Parameter.builder("tensor " + parameters.size(), arrays.data.asSlice(at, size))
              .gradient(arrays.gradient.asSlice(at, size))
              .anchor(anchored ? arrays.anchor.asSlice(at, size) : null)
              .moments(arrays.expAvg.asSlice(at, size), arrays.expAvgSq.asSlice(at, size))
              .step(STEPS_TAKEN)
              .build());
      at += alignedSize(numel);
    }
    return parameters;
  }

  private static long alignedSize(long numel) {
    return Math.ceilDiv(numel * Float.BYTES, ArrayMemory.ALIGNMENT) * ArrayMemory.ALIGNMENT;
  }

  private void fill(Arrays arrays, long bytes) {
    try (Arena arena = Arena.ofConfined()) {
      Arrays piece = Arrays.of(anchored, () -> arena.allocate(PIECE, ArrayMemory.ALIGNMENT));
      for (long at = 0; at < bytes; at += PIECE) {
        long size = Math.min(PIECE, bytes - at);
        randomize(piece, size / Float.BYTES);
        for (int i = 0; i < arrays.all().size(); i++) {
          memory.write(piece.all().get(i).asSlice(0, size), arrays.all().get(i).asSlice(at, size));
        }
      }
    }
  }

  /**
   * SPD selects a tensor where the gradient points along the deviation, and projects it where the
   * update, which follows the first moment, leads further away nevertheless. So for ALL gradient
   * and first moment have opposite signs, and it is the larger one that is to last.
   */
  private void randomize(Arrays p, long numel) {
    for (long i = 0; i < numel; i++) {
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
        p.anchor.setAtIndex(JAVA_FLOAT, i, anchor);
      }
      p.data.setAtIndex(JAVA_FLOAT, i, anchor + deviation);
      p.gradient.setAtIndex(JAVA_FLOAT, i, gradient);
      p.expAvg.setAtIndex(JAVA_FLOAT, i, expAvg);
      p.expAvgSq.setAtIndex(JAVA_FLOAT, i, gradient * gradient);
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

  /** Where the optimizer's arrays lie. */
  ArrayMemory memory() {
    return memory;
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
    memory.close();
  }
}
