package io.spd4j.finetune;

import io.spd4j.ElementType;
import io.spd4j.Parameter;
import io.spd4j.SplitFloats;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.minilm.Weight;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collection;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/**
 * The arrays that an optimizer steps, in the types of a {@link State}. The network computes in
 * float32: what has another type is an array apart, with a copy to or from the network's array
 * around every step.
 */
final class StateArrays {
  /** The size of a cache line and of the widest vector. */
  private static final long ALIGNMENT = 64;

  /** Elements of a piece, which one thread copies. */
  private static final long PIECE = 1 << 16;

  private final State state;
  private final Arena arena;
  private final boolean parallel;
  private final Map<Parameter, List<Runnable>> toOptimizer = new IdentityHashMap<>();
  private final List<Runnable> toNetwork = new ArrayList<>();

  /** Copies a piece. */
  private interface Copy {
    void run(MemorySegment from, MemorySegment to);
  }

  /**
   * @param arena shared; the arena of the arrays
   * @param threads 1 to copy on the caller's thread alone
   */
  StateArrays(State state, Arena arena, int threads) {
    this.state = state;
    this.arena = arena;
    parallel = threads > 1;
  }

  /**
   * Returns the parameter of a weight that has a gradient.
   *
   * @param anchor float32; null for the origin
   */
  Parameter parameter(Weight weight, MemorySegment anchor) {
    List<Runnable> copies = new ArrayList<>();
    Parameter parameter =
        data(weight)
            .gradient(input(weight.gradient(), state.gradient(), copies), state.gradient())
            .anchor(anchor == null ? null : anchor(anchor), state.anchor())
            .momentType(state.moments())
            .build();
    toOptimizer.put(parameter, copies);
    return parameter;
  }

  private Parameter.Builder data(Weight weight) {
    MemorySegment floats = weight.data();
    if (state.parameter() == ElementType.FLOAT32) {
      return Parameter.builder(weight.name(), floats);
    }
    MemorySegment data = halves(floats);
    Parameter.Builder builder = Parameter.builder(weight.name(), data, state.parameter());
    if (!state.split()) {
      Bfloat16.round(floats, data);
      pieces(data, floats, Bfloat16::widen, toNetwork);
      return builder;
    }
    MemorySegment low = halves(floats);
    SplitFloats.split(floats, data, low);
    for (long at = 0; at < floats.byteSize(); at += PIECE * Float.BYTES) {
      MemorySegment to = piece(floats, at, Float.BYTES);
      MemorySegment high = piece(data, at / 2, Short.BYTES);
      MemorySegment rest = piece(low, at / 2, Short.BYTES);
      toNetwork.add(() -> SplitFloats.join(high, rest, to));
    }
    return builder.low(low);
  }

  private MemorySegment anchor(MemorySegment floats) {
    List<Runnable> once = new ArrayList<>();
    MemorySegment anchor = input(floats, state.anchor(), once);
    run(once);
    return anchor;
  }

  /** Returns an array of a type, which steps only read, and adds the copies into it. */
  private MemorySegment input(MemorySegment floats, ElementType type, List<Runnable> copies) {
    if (type == ElementType.FLOAT32) {
      return floats;
    }
    MemorySegment input = halves(floats);
    pieces(floats, input, Bfloat16::round, copies);
    return input;
  }

  private MemorySegment halves(MemorySegment floats) {
    return arena.allocate(floats.byteSize() / 2, ALIGNMENT);
  }

  private static void pieces(
      MemorySegment from, MemorySegment to, Copy copy, List<Runnable> copies) {
    long numel = Math.max(from.byteSize(), to.byteSize()) / Float.BYTES;
    long fromSize = from.byteSize() / numel;
    long toSize = to.byteSize() / numel;
    for (long i = 0; i < numel; i += PIECE) {
      MemorySegment source = piece(from, i * fromSize, fromSize);
      MemorySegment target = piece(to, i * toSize, toSize);
      copies.add(() -> copy.run(source, target));
    }
  }

  private static MemorySegment piece(MemorySegment array, long at, long elementSize) {
    return array.asSlice(at, Math.min(PIECE * elementSize, array.byteSize() - at));
  }

  /** Copies some parameters' gradients from the network. */
  void toOptimizer(Collection<Parameter> parameters) {
    run(parameters.stream().flatMap(p -> toOptimizer.get(p).stream()).toList());
  }

  /** Copies the parameters to the network. */
  void toNetwork() {
    run(toNetwork);
  }

  private void run(List<Runnable> copies) {
    (parallel ? copies.parallelStream() : copies.stream()).forEach(Runnable::run);
  }
}
