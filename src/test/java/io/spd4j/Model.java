package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Tensors with seeded values, the same for every optimizer that is built on a model of one seed.
 */
final class Model implements AutoCloseable {
  final Arena arena = Arena.ofShared();
  final List<Parameter> parameters = new ArrayList<>();
  private final SplittableRandom random;

  Model(long seed) {
    random = new SplittableRandom(seed);
  }

  /**
   * Adds a tensor whose arrays start at a multiple of 4 bytes that is in general none of 8.
   *
   * @param shift bytes behind a multiple of 64 at which each array starts; each starts elsewhere
   */
  Parameter add(String name, long numel, int shift, boolean anchored) {
    return add(name, numel, shift, anchored, 4);
  }

  /**
   * The same.
   *
   * @param apart bytes by which the arrays' shifts differ
   */
  Parameter add(String name, long numel, int shift, boolean anchored, int apart) {
    MemorySegment data = array(numel, shift, 1);
    MemorySegment gradient = array(numel, shift + apart, 1);
    Parameter.Builder builder = Parameter.builder(name, data).gradient(gradient);
    if (anchored) {
      MemorySegment anchor = array(numel, shift + 2 * apart, 0);
      for (long i = 0; i < numel; i++) {
        float near = data.getAtIndex(JAVA_FLOAT, i) + 0.2f * (float) value();
        anchor.setAtIndex(JAVA_FLOAT, i, near);
      }
      builder.anchor(anchor);
    }
    Parameter parameter = builder.build();
    parameters.add(parameter);
    return parameter;
  }

  /** A read-write array of values up to this size, aligned as asked for. */
  MemorySegment array(long numel, int shift, double size) {
    int offset = shift % 64;
    MemorySegment array = arena.allocate(numel * 4 + 64, 64).asSlice(offset, numel * 4);
    fill(array, size);
    return array;
  }

  /** In [-1, 1). */
  private double value() {
    return 2 * random.nextDouble() - 1;
  }

  private void fill(MemorySegment array, double size) {
    for (long i = 0; i < array.byteSize() / 4; i++) {
      array.setAtIndex(JAVA_FLOAT, i, (float) (size * value()));
    }
  }

  /**
   * New gradients; some lie along the deviation, so that SPD selects, and some are rare and large.
   */
  void nextGradients() {
    for (Parameter p : parameters) {
      double along = random.nextInt(3) - 1;
      double scale = random.nextInt(8) == 0 ? 100 : 1;
      for (long i = 0; i < p.numel(); i++) {
        double anchor = p.anchor() == null ? 0 : p.anchor().getAtIndex(JAVA_FLOAT, i);
        double deviation = p.data().getAtIndex(JAVA_FLOAT, i) - anchor;
        double g = scale * (value() + along * deviation);
        p.gradient().setAtIndex(JAVA_FLOAT, i, (float) g);
      }
    }
  }

  /** The bits of every array of every parameter, in order. */
  static int[][] bits(List<Parameter> parameters) {
    List<int[]> all = new ArrayList<>();
    for (Parameter p : parameters) {
      for (MemorySegment s :
          new MemorySegment[] {p.data(), p.expAvg(), p.expAvgSq(), p.maxExpAvgSq()}) {
        all.add(s == null ? new int[0] : s.toArray(JAVA_INT));
      }
    }
    return all.toArray(int[][]::new);
  }

  @Override
  public void close() {
    arena.close();
  }
}
