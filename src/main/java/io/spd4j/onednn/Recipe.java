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
  /** An argument; over names another argument that may be the same segment, or is null. */
  record Argument(
      String name,
      int id,
      MemorySegment descriptor,
      long bytes,
      int elementSize,
      boolean written,
      String over) {}

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
    return argument(name, id, layout, ElementType.FLOAT32, false, null);
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
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment descriptor =
          made(
              dnnl_h.dnnl_memory_desc_create_with_strides(
                  engine.out(),
                  layout.rank(),
                  longs(arena, layout.sizes()),
                  code(name, type),
                  longs(arena, layout.strides())));
      long bytes = layout.numel() * type.byteSize();
      arguments.add(new Argument(name, id, descriptor, bytes, type.byteSize(), written, over));
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

  /** Makes the matrix product of two arguments plus a bias ({@link MemorySegment#NULL}: none). */
  Primitive buildProduct(
      MemorySegment left, MemorySegment right, MemorySegment bias, MemorySegment result) {
    return build((out, attributes) ->
        dnnl_h.dnnl_matmul_primitive_desc_create(
            out, engine.handle(), left, right, bias, result, attributes));
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
      attributes = made(dnnl_h.dnnl_primitive_attr_create(engine.out()));
      check(dnnl_h.dnnl_primitive_attr_set_post_ops(attributes, postOps));
      check(
          dnnl_h.dnnl_primitive_attr_set_scratchpad_mode(
              attributes, dnnl_h.dnnl_scratchpad_mode_user()));
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

  /** Advances in oneDNN's list of implementations; returns false if it has nothing better. */
  private boolean passOver(MemorySegment descriptor) {
    while (passedOver.contains(implementation(descriptor))) {
      if (dnnl_h.dnnl_primitive_desc_next_impl(descriptor) != dnnl_h.dnnl_success()) {
        return false;
      }
    }
    return passedOver.isEmpty() || !implementation(descriptor).startsWith("ref");
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
    arguments.forEach(a -> dnnl_h.dnnl_memory_desc_destroy(a.descriptor()));
  }
}
