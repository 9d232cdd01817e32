package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import io.spd4j.StepCase.Types;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;

/**
 * Parameters with values from a seed, in one arena. The static methods make single arrays and
 * parameters in any arena.
 */
final class Tensors implements AutoCloseable {
  private static final long LINE = 64;

  final Arena arena = Arena.ofShared();
  final List<Parameter> parameters = new ArrayList<>();
  private final SplittableRandom random;
  final Types types;

  Tensors(long seed) {
    this(seed, Types.FLOAT32);
  }

  Tensors(long seed, Types types) {
    random = new SplittableRandom(seed);
    this.types = types;
  }

  /** Adds a tensor without moments. */
  Parameter add(String name, long numel, int shift, boolean anchored) {
    return add(name, numel, shift, anchored, 0);
  }

  /**
   * Adds a tensor.
   *
   * @param shift if 0, each array starts at a multiple of 64 bytes; otherwise data starts this many
   *     elements after one, and each further array one element more
   * @param moments how many moments the tensor brings, all zeros: 0, 2, or 3 with AMSGrad's maximum
   */
  Parameter add(String name, long numel, int shift, boolean anchored, int moments) {
    MemorySegment[] a = new MemorySegment[6];
    for (ParameterArray array : ParameterArray.values()) {
      int i = array.ordinal();
      if (i < 2 || (i == 2 ? anchored : i < 3 + moments)) {
        int elements = shift == 0 ? 0 : shift + i;
        a[i] = array(types.bytes(array, numel), types.unit(array), elements);
      }
    }
    MemorySegment low = types.split() ? array(2 * numel, 2, shift == 0 ? 0 : shift + 6) : null;
    Parameter p = types.parameter(name, low, a);
    for (long i = 0; i < numel; i++) {
      value(p, i, (float) random.nextDouble(-1, 1));
    }
    fill(a[1], types.gradient(), random);
    for (long i = 0; anchored && i < numel; i++) {
      double near = get(a[0], types.data(), i) + 0.2f * (float) random.nextDouble(-1, 1);
      set(a[2], types.anchor(), i, (float) near);
    }
    parameters.add(p);
    return p;
  }

  private MemorySegment array(long bytes, int unit, int shift) {
    return arena.allocate(bytes + LINE, LINE).asSlice(shift * unit % LINE, bytes);
  }

  /** Returns another gradient for one of these tensors. */
  MemorySegment gradient(long numel, int shift) {
    int size = types.gradient().byteSize();
    MemorySegment gradient = array(numel * size, size, shift);
    fill(gradient, types.gradient(), random);
    return gradient;
  }

  /**
   * Writes new values to all gradients. Some gradients lie along the deviation, so that SPD selects
   * their tensors; a few are 100 times as large.
   */
  void nextGradients() {
    for (Parameter p : parameters) {
      double along = random.nextInt(3) - 1;
      double scale = random.nextInt(8) == 0 ? 100 : 1;
      for (long i = 0; p.gradient() != null && i < p.numel(); i++) {
        double anchor = p.anchor() == null ? 0 : get(p.anchor(), types.anchor(), i);
        double deviation = get(p.data(), types.data(), i) - anchor;
        double g = scale * (random.nextDouble(-1, 1) + along * deviation);
        set(p.gradient(), types.gradient(), i, (float) g);
      }
    }
  }

  @Override
  public void close() {
    arena.close();
  }

  /** Returns an element of an array with any alignment. */
  static float get(MemorySegment array, ElementType type, long i) {
    return switch (type) {
      case FLOAT32 -> array.getAtIndex(JAVA_FLOAT_UNALIGNED, i);
      case BFLOAT16 -> Float.intBitsToFloat(array.getAtIndex(JAVA_SHORT_UNALIGNED, i) << 16);
      case FLOAT16 -> Float.float16ToFloat(array.getAtIndex(JAVA_SHORT_UNALIGNED, i));
      default -> throw new AssertionError(type);
    };
  }

  /** Sets an element to the value of the type that is nearest. */
  static void set(MemorySegment array, ElementType type, long i, float value) {
    switch (type) {
      case FLOAT32 -> array.setAtIndex(JAVA_FLOAT, i, value);
      case BFLOAT16 -> array.setAtIndex(JAVA_SHORT, i, bfloat16(value));
      case FLOAT16 -> array.setAtIndex(JAVA_SHORT, i, Float.floatToFloat16(value));
      default -> throw new AssertionError(type);
    }
  }

  /** Returns an element of a parameter; of data in two halves, the float32 that both are. */
  static float value(Parameter p, long i) {
    return p.low() == null
        ? get(p.data(), p.type(), i)
        : Float.intBitsToFloat(
            (p.data().getAtIndex(JAVA_SHORT, i) << 16) + p.low().getAtIndex(JAVA_SHORT, i));
  }

  /** Sets an element of a parameter to the nearest value that its data can hold. */
  static void value(Parameter p, long i, float value) {
    if (p.low() == null) {
      set(p.data(), p.type(), i, value);
    } else {
      int bits = Float.floatToRawIntBits(value);
      p.low().setAtIndex(JAVA_SHORT, i, (short) bits);
      p.data().setAtIndex(JAVA_SHORT, i, (short) ((bits >> 16) + ((short) bits < 0 ? 1 : 0)));
    }
  }

  /** Rounds to nearest, ties to even. */
  private static short bfloat16(float value) {
    int bits = Float.floatToRawIntBits(value);
    return Float.isNaN(value)
        ? (short) (bits >> 16 | 0x40)
        : (short) (bits + 0x7fff + (bits >> 16 & 1) >> 16);
  }

  /** Fills an array with values from -1 to 1. */
  private static void fill(MemorySegment array, ElementType type, SplittableRandom random) {
    for (long i = 0; i < array.byteSize() / type.byteSize(); i++) {
      set(array, type, i, (float) random.nextDouble(-1, 1));
    }
  }

  /** Returns an array with values from -1 to 1. */
  static MemorySegment random(Arena arena, long seed, long numel) {
    MemorySegment array = arena.allocate(numel * Float.BYTES, LINE);
    fill(array, ElementType.FLOAT32, new SplittableRandom(seed));
    return array;
  }

  static MemorySegment of(Arena arena, float... values) {
    return arena.allocateFrom(JAVA_FLOAT, values);
  }

  static float[] floats(MemorySegment segment) {
    return segment.toArray(JAVA_FLOAT);
  }

  /** Allocates memory for a copy, with the same address modulo 64. */
  static MemorySegment room(Arena arena, MemorySegment segment) {
    return arena
        .allocate(segment.byteSize() + LINE, LINE)
        .asSlice(segment.address() % LINE, segment.byteSize());
  }

  static MemorySegment copy(Arena arena, MemorySegment segment) {
    return segment == null ? null : room(arena, segment).copyFrom(segment);
  }

  /** Returns a parameter with a gradient and an anchor. */
  static Parameter parameter(Arena arena, String name, long seed, long numel) {
    return Parameter.of(
        name,
        random(arena, 3 * seed, numel),
        random(arena, 3 * seed + 1, numel),
        random(arena, 3 * seed + 2, numel));
  }

  /**
   * Returns a parameter that SPD selects: the deviation lies along the gradient, and is far smaller
   * than a step with lr 0.1 in the opposite direction.
   */
  static Parameter selected(Arena arena, String name, long seed, long numel) {
    MemorySegment anchor = random(arena, seed, numel);
    MemorySegment data = copy(arena, anchor);
    MemorySegment gradient = random(arena, seed + 1, numel);
    for (long i = 0; i < numel; i++) {
      float deviation = 0.01f * gradient.getAtIndex(JAVA_FLOAT, i);
      data.setAtIndex(JAVA_FLOAT, i, data.getAtIndex(JAVA_FLOAT, i) + deviation);
    }
    return Parameter.of(name, data, gradient, anchor);
  }

  /** Returns a copy of a parameter under the same name, as a checkpoint would keep it. */
  static Parameter twin(Arena arena, Parameter p) {
    return twin(p, segment -> copy(arena, segment));
  }

  /** Returns a copy of a parameter whose arrays the function copies; it returns null for null. */
  static Parameter twin(Parameter p, UnaryOperator<MemorySegment> copy) {
    return Parameter.builder(p.name(), copy.apply(p.data()), p.type())
        .low(copy.apply(p.low()))
        .gradient(copy.apply(p.gradient()), p.gradientType())
        .anchor(copy.apply(p.anchor()), p.anchorType())
        .momentType(p.momentType())
        .moments(copy.apply(p.expAvg()), copy.apply(p.expAvgSq()))
        .maxExpAvgSq(copy.apply(p.maxExpAvgSq()))
        .step(p.step())
        .build();
  }

  static List<Parameter> twins(Arena arena, Collection<Parameter> parameters) {
    return parameters.stream().map(p -> twin(arena, p)).toList();
  }

  /** Deals the parameters to the groups in turn and builds the groups. */
  static List<ParameterGroup> deal(
      List<Parameter> parameters, List<ParameterGroup.Builder> groups) {
    for (int i = 0; i < parameters.size(); i++) {
      groups.get(i % groups.size()).parameter(parameters.get(i));
    }
    return groups.stream().map(ParameterGroup.Builder::build).toList();
  }
}
