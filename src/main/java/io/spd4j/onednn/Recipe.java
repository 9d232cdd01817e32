package io.spd4j.onednn;

import io.spd4j.ElementType;
import io.spd4j.generated.dnnl.dnnl_h;
import io.spd4j.nativelib.FlightRecorder;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * Builds a primitive. Collects its arguments, in the order in which {@link Primitive#bind} numbers
 * them, and what is done to the result before it is stored. Closing frees the descriptors.
 */
final class Recipe implements AutoCloseable {
  /**
   * An argument.
   *
   * @param descriptor what oneDNN is told about it, or about its copy in bfloat16
   * @param over another argument that may be the same segment, or null
   * @param rounding makes a copy in bfloat16, which oneDNN reads instead; null if it reads this
   */
  record Argument(
      String name,
      int id,
      Layout layout,
      MemorySegment descriptor,
      long bytes,
      int elementSize,
      boolean written,
      String over,
      Rounding rounding) {}

  /** Makes a copy of a matrix in bfloat16, in memory that all products share. */
  record Rounding(Conversion conversion, Scratch copy) {
    /** Returns the address of the copy. */
    long round(MemorySegment matrix) {
      conversion.forward(matrix, copy.segment());
      return copy.segment().address();
    }
  }

  /** Writes a new oneDNN primitive descriptor to out; returns a status. */
  interface Creator {
    int create(MemorySegment out, MemorySegment attributes);
  }

  /** Writes a backward pass's new descriptor to out; the hint is its forward pass's descriptor. */
  interface BackwardCreator {
    int create(MemorySegment out, MemorySegment hint, MemorySegment attributes);
  }

  /**
   * The implementations that oneDNN offers first for float32 matrix products. Its older one, which
   * comes after them, is faster: with AVX2 always; with AVX-512 by a tenth if the left matrix is
   * not transposed and no more than an addend follows.
   */
  static final String BRGEMM_AVX512 = "brg_matmul:avx512_core";

  static final String BRGEMM_AVX2 = "brg_matmul:avx2";

  private final Engine engine;
  private final String what;
  private final List<Argument> arguments = new ArrayList<>();
  private final List<MemorySegment> descriptors = new ArrayList<>();
  private final MemorySegment postOps;
  private int postOpCount;
  private long flops;
  private List<String> passedOver = List.of();

  /** Begins a recipe; what names the operation and its shapes in messages. */
  Recipe(Engine engine, String what) {
    this.engine = engine;
    this.what = what;
    engine.checkUsable();
    engine.useThreads();
    postOps = made(dnnl_h.dnnl_post_ops_create(engine.out()));
  }

  private void check(int status) {
    Engine.check(what, status);
  }

  MemorySegment reads(String name, int id, Layout layout) {
    return reads(name, id, layout, ElementType.FLOAT32);
  }

  MemorySegment reads(String name, int id, Layout layout, ElementType type) {
    return argument(name, id, layout, type, false, null);
  }

  MemorySegment writes(String name, int id, Layout layout) {
    return argument(name, id, layout, ElementType.FLOAT32, true, null);
  }

  /** Adds an argument that is written and may be the same segment as the argument over. */
  MemorySegment writesOver(String name, int id, Layout layout, String over) {
    return argument(name, id, layout, ElementType.FLOAT32, true, over);
  }

  MemorySegment argument(
      String name, int id, Layout layout, ElementType type, boolean written, String over) {
    MemorySegment descriptor = descriptor(name, layout, type);
    long bytes = layout.numel() * type.byteSize();
    arguments.add(
        new Argument(name, id, layout, descriptor, bytes, type.byteSize(), written, over, null));
    return descriptor;
  }

  private MemorySegment descriptor(String name, Layout layout, ElementType type) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment descriptor =
          made(
              dnnl_h.dnnl_memory_desc_create_with_strides(
                  engine.out(),
                  layout.rank(),
                  longs(arena, layout.sizes()),
                  code(name, type),
                  longs(arena, layout.strides())));
      descriptors.add(descriptor);
      return descriptor;
    }
  }

  /** Returns oneDNN's code of a type; name is the argument of that type, for messages. */
  static int code(String name, ElementType type) {
    return switch (Check.notNull(name, type)) {
      case FLOAT32 -> dnnl_h.dnnl_f32();
      case BFLOAT16 -> dnnl_h.dnnl_bf16();
      case FLOAT16 -> dnnl_h.dnnl_f16();
      default ->
          throw new IllegalArgumentException(
              name + " must be FLOAT32, BFLOAT16 or FLOAT16, not " + type);
    };
  }

  private static MemorySegment longs(Arena arena, List<Long> values) {
    return arena.allocateFrom(
        ValueLayout.JAVA_LONG, values.stream().mapToLong(Long::longValue).toArray());
  }

  /** Multiplies the result as the next operation. */
  void scale(float factor) {
    eltwise(dnnl_h.dnnl_eltwise_linear(), factor);
  }

  /** Applies GELU to the result as the next operation. */
  void gelu() {
    eltwise(dnnl_h.dnnl_eltwise_gelu_erf(), 0);
  }

  private void eltwise(int algorithm, float alpha) {
    check(dnnl_h.dnnl_post_ops_append_eltwise(postOps, algorithm, alpha, 0));
    postOpCount++;
  }

  /** Adds an argument to the result as the next operation; its sizes are the result's or 1. */
  void adds(String name, Layout layout) {
    int id = dnnl_h.DNNL_ARG_ATTR_MULTIPLE_POST_OP_BASE() * (postOpCount + 1);
    MemorySegment descriptor = reads(name, id | dnnl_h.DNNL_ARG_SRC_1(), layout);
    check(dnnl_h.dnnl_post_ops_append_binary(postOps, dnnl_h.dnnl_binary_add(), descriptor));
    postOpCount++;
  }

  /** Adds what is in the result's memory to the result as the next operation. */
  void accumulates() {
    check(dnnl_h.dnnl_post_ops_append_sum(postOps, 1, 0, dnnl_h.dnnl_f32()));
    postOpCount++;
  }

  /** Sets a matrix product's number of multiplications and additions, for Flight Recorder. */
  void flops(long count) {
    flops = count;
  }

  /** Passes over implementations of these names if one remains that is not a plain loop. */
  void passesOver(String... implementations) {
    passedOver = List.of(implementations);
  }

  /** Makes the primitive. */
  Primitive build(Creator creator) {
    return buildBackward(null, (out, hint, attributes) -> creator.create(out, attributes));
  }

  /**
   * Makes the matrix product of two arguments, of the types that they have, plus a bias ({@link
   * MemorySegment#NULL}: none).
   */
  Primitive buildExactProduct(
      MemorySegment left, MemorySegment right, MemorySegment bias, MemorySegment result) {
    return build((out, attributes) ->
        dnnl_h.dnnl_matmul_primitive_desc_create(
            out, engine.handle(), left, right, bias, result, attributes));
  }

  /** As {@link #buildExactProduct}, but rounds float32 if the engine's {@link MathMode} says so. */
  Primitive buildProduct(
      MemorySegment left, MemorySegment right, MemorySegment bias, MemorySegment result) {
    int l = indexOf(left);
    int r = indexOf(right);
    if (engine.math() == MathMode.BF16 && canRound(l) && canRound(r)) {
      MemorySegment roundedLeft = rounded(l);
      MemorySegment roundedRight = rounded(r);
      if (isFast(roundedLeft, roundedRight, bias, result)) {
        round(l, roundedLeft, engine.left());
        round(r, roundedRight, engine.right());
        return buildExactProduct(roundedLeft, roundedRight, bias, result);
      }
    }
    return buildExactProduct(left, right, bias, result);
  }

  private int indexOf(MemorySegment descriptor) {
    return arguments.stream().map(Argument::descriptor).toList().indexOf(descriptor);
  }

  /** Whether it is a float32 matrix that a conversion can hold, not a vector. */
  private boolean canRound(int argument) {
    Layout layout = arguments.get(argument).layout();
    int rank = layout.rank();
    return arguments.get(argument).elementSize() == Float.BYTES
        && layout.size(rank - 1) > 1
        && layout.size(rank - 2) > 1
        && layout.numel() <= Integer.MAX_VALUE;
  }

  private MemorySegment rounded(int argument) {
    Argument float32 = arguments.get(argument);
    return descriptor(float32.name(), float32.layout(), ElementType.BFLOAT16);
  }

  /** Whether oneDNN has more than a plain loop for a product. */
  private boolean isFast(
      MemorySegment left, MemorySegment right, MemorySegment bias, MemorySegment result) {
    MemorySegment attributes = MemorySegment.NULL;
    MemorySegment descriptor = MemorySegment.NULL;
    try {
      attributes = attributes();
      int status =
          dnnl_h.dnnl_matmul_primitive_desc_create(
              engine.out(), engine.handle(), left, right, bias, result, attributes);
      if (status != dnnl_h.dnnl_success()) {
        return false;
      }
      descriptor = engine.result();
      return !isPlainLoop(descriptor);
    } finally {
      destroy(descriptor, dnnl_h::dnnl_primitive_desc_destroy);
      destroy(attributes, dnnl_h::dnnl_primitive_attr_destroy);
    }
  }

  /** Has the primitive read a copy of a float32 argument that is rounded to bfloat16. */
  private void round(int argument, MemorySegment descriptor, Scratch copy) {
    Argument a = arguments.get(argument);
    long numel = a.layout().numel();
    copy.reserve(numel * ElementType.BFLOAT16.byteSize());
    Conversion conversion =
        new Conversion(engine, numel, ElementType.FLOAT32, ElementType.BFLOAT16);
    arguments.set(
        argument,
        new Argument(
            a.name(),
            a.id(),
            a.layout(),
            descriptor,
            a.bytes(),
            a.elementSize(),
            a.written(),
            a.over(),
            new Rounding(conversion, copy)));
  }

  /**
   * Makes a primitive with the descriptor of its forward pass as a hint.
   *
   * @param forward null if no hint is needed
   */
  Primitive buildBackward(Creator forward, BackwardCreator backward) {
    MemorySegment attributes = MemorySegment.NULL;
    MemorySegment hint = MemorySegment.NULL;
    MemorySegment descriptor = MemorySegment.NULL;
    try {
      attributes = attributes();
      if (forward != null) {
        hint = made(forward.create(engine.out(), attributes));
      }
      descriptor = made(backward.create(engine.out(), hint, attributes));
      if (!passOver(descriptor)) {
        destroy(descriptor, dnnl_h::dnnl_primitive_desc_destroy);
        descriptor = MemorySegment.NULL;
        descriptor = made(backward.create(engine.out(), hint, attributes));
      }
      OperationEvent event =
          FlightRecorder.available()
              ? new OperationEvent(what, implementation(descriptor), flops)
              : null;
      return new Primitive(engine, what, descriptor, arguments, event);
    } finally {
      destroy(descriptor, dnnl_h::dnnl_primitive_desc_destroy);
      destroy(hint, dnnl_h::dnnl_primitive_desc_destroy);
      destroy(attributes, dnnl_h::dnnl_primitive_attr_destroy);
    }
  }

  private MemorySegment attributes() {
    MemorySegment attributes = made(dnnl_h.dnnl_primitive_attr_create(engine.out()));
    try {
      check(dnnl_h.dnnl_primitive_attr_set_post_ops(attributes, postOps));
      check(
          dnnl_h.dnnl_primitive_attr_set_scratchpad_mode(
              attributes, dnnl_h.dnnl_scratchpad_mode_user()));
    } catch (OneDnnException e) {
      destroy(attributes, dnnl_h::dnnl_primitive_attr_destroy);
      throw e;
    }
    return attributes;
  }

  /** Advances in oneDNN's list of implementations; returns false if it has nothing better. */
  private boolean passOver(MemorySegment descriptor) {
    while (passedOver.contains(implementation(descriptor))) {
      if (dnnl_h.dnnl_primitive_desc_next_impl(descriptor) != dnnl_h.dnnl_success()) {
        return false;
      }
    }
    return passedOver.isEmpty() || !isPlainLoop(descriptor);
  }

  private boolean isPlainLoop(MemorySegment descriptor) {
    return implementation(descriptor).startsWith("ref");
  }

  private String implementation(MemorySegment descriptor) {
    check(
        dnnl_h.dnnl_primitive_desc_query(
            descriptor, dnnl_h.dnnl_query_impl_info_str(), 0, engine.out()));
    return engine.result().reinterpret(Long.MAX_VALUE).getString(0);
  }

  private MemorySegment made(int status) {
    check(status);
    return engine.result();
  }

  private static void destroy(MemorySegment handle, Engine.Destroyer destroyer) {
    if (handle.address() != 0) {
      destroyer.destroy(handle);
    }
  }

  @Override
  public void close() {
    dnnl_h.dnnl_post_ops_destroy(postOps);
    descriptors.forEach(dnnl_h::dnnl_memory_desc_destroy);
  }
}
