package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Named;

/** Seeded tensors, and what an optimizer holds at a moment. */
final class OptimizerFixture {
  /** The contents of an array; which of two differ is what a message has to tell. */
  record Bits(ByteBuffer bytes) {
    @Override
    public String toString() {
      return Integer.toHexString(bytes.hashCode());
    }
  }

  /** Arrays, step counts and reports; arrays that this thread cannot read are left out. */
  record State(Map<String, Bits> arrays, List<Long> steps, List<SpdReport> reports) {
    static State of(Adam adam) {
      return new State(arrays(adam.parameters()), steps(adam), adam.spdReports());
    }

    /** The same without reports, to be compared with that of an optimizer that began later. */
    static State ofTraining(Adam adam) {
      return new State(arrays(adam.parameters()), steps(adam), List.of());
    }

    private static List<Long> steps(Adam adam) {
      return adam.parameters().stream().map(Parameter::step).toList();
    }

    static Map<String, Bits> arrays(Collection<Parameter> parameters) {
      Map<String, Bits> arrays = new LinkedHashMap<>();
      for (Parameter p : parameters) {
        add(arrays, "data of " + p.name(), p.data());
        add(arrays, "gradient of " + p.name(), p.gradient());
        add(arrays, "anchor of " + p.name(), p.anchor());
        add(arrays, "expAvg of " + p.name(), p.expAvg());
        add(arrays, "expAvgSq of " + p.name(), p.expAvgSq());
        add(arrays, "maxExpAvgSq of " + p.name(), p.maxExpAvgSq());
      }
      return arrays;
    }

    private static void add(Map<String, Bits> arrays, String what, MemorySegment s) {
      if (s != null && s.scope().isAlive() && s.isAccessibleBy(Thread.currentThread())) {
        arrays.put(what, new Bits(ByteBuffer.wrap(s.toArray(JAVA_BYTE))));
      }
    }
  }

  private OptimizerFixture() {}

  static List<Named<Kernels>> kernels() {
    return AllKernels.list().stream().map(k -> Named.of(k.name() + " " + k.detail(), k)).toList();
  }

  static List<DecayRule> rules() {
    return List.of(
        new NoDecay(),
        new WeightDecay(0.1),
        new L2SP(0.1),
        new L2SP(0.1, true),
        new SelectiveProjectionDecay(0.7));
  }

  /** Values from -1 to 1. */
  static MemorySegment random(Arena arena, long seed, long numel) {
    SplittableRandom random = new SplittableRandom(seed);
    MemorySegment segment = arena.allocate(numel * Float.BYTES, 64);
    for (long i = 0; i < numel; i++) {
      segment.setAtIndex(JAVA_FLOAT, i, (float) random.nextDouble(-1, 1));
    }
    return segment;
  }

  static MemorySegment of(Arena arena, float... values) {
    return arena.allocateFrom(JAVA_FLOAT, values);
  }

  static float[] floats(MemorySegment segment) {
    return segment.toArray(JAVA_FLOAT);
  }

  static MemorySegment copy(Arena arena, MemorySegment segment) {
    return segment == null ? null : arena.allocate(segment.byteSize(), 64).copyFrom(segment);
  }

  /** A parameter with a gradient and an anchor. */
  static Parameter parameter(Arena arena, String name, long seed, long numel) {
    return Parameter.of(
        name,
        random(arena, 3 * seed, numel),
        random(arena, 3 * seed + 1, numel),
        random(arena, 3 * seed + 2, numel));
  }

  /**
   * A parameter that SPD selects: the deviation lies along the gradient, and is far smaller than
   * what a step with lr 0.1 adds on the other side.
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

  /** A copy of a parameter as a checkpoint would keep it, under the same name. */
  static Parameter twin(Arena arena, Parameter p) {
    return Parameter.builder(p.name(), copy(arena, p.data()))
        .gradient(copy(arena, p.gradient()))
        .anchor(copy(arena, p.anchor()))
        .moments(copy(arena, p.expAvg()), copy(arena, p.expAvgSq()))
        .maxExpAvgSq(copy(arena, p.maxExpAvgSq()))
        .step(p.step())
        .build();
  }

  static List<Parameter> twins(Arena arena, Collection<Parameter> parameters) {
    return parameters.stream().map(p -> twin(arena, p)).toList();
  }

  static ParameterGroup group(DecayRule decay, Collection<Parameter> parameters) {
    return ParameterGroup.builder().lr(0.1).decay(decay).parameters(parameters).build();
  }

  static Adam adam(Kernels kernels, int threads, ParameterGroup... groups) {
    Adam.Builder builder = Adam.builder().kernels(kernels).threads(threads);
    List.of(groups).forEach(builder::group);
    return builder.build();
  }

  static Adam adam(Kernels kernels, DecayRule decay, Collection<Parameter> parameters) {
    return adam(kernels, 2, group(decay, parameters));
  }
}
