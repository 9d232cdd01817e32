package io.spd4j.onednn;

import io.spd4j.ElementType;
import io.spd4j.generated.dnnl.dnnl_h;
import io.spd4j.onednn.Recipe.Argument;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Follows a {@link Recipe}: makes oneDNN's descriptors of its arguments, its attributes and its
 * primitive. Closing frees all but the primitive.
 */
final class Compilation implements AutoCloseable {
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

  private final Engine engine;
  private final Recipe recipe;
  private final Map<Argument, MemorySegment> descriptors = new HashMap<>();
  private final Map<Argument, Rounding> roundings = new HashMap<>();
  private final List<MemorySegment> toDestroy = new ArrayList<>();
  private MemorySegment postOps = MemorySegment.NULL;
  private MemorySegment attributes = MemorySegment.NULL;
  private MemorySegment hint = MemorySegment.NULL;

  /** The newest primitive descriptor. */
  private MemorySegment newest = MemorySegment.NULL;

  Compilation(Engine engine, Recipe recipe) {
    this.engine = engine;
    this.recipe = recipe;
  }

  /** Makes the primitive, with memory for its own arrays and its scratch. */
  Primitive primitive() {
    engine.useThreads();
    for (Argument argument : recipe.arguments()) {
      descriptors.put(argument, descriptor(argument, argument.type()));
    }
    for (Recipe.Own own : recipe.own()) {
      descriptors.put(own.argument(), descriptor(own.argument(), ElementType.FLOAT32));
    }
    makeAttributes();
    return new Primitive(engine, recipe, recipe.maker().make(this), this);
  }

  private void makeAttributes() {
    postOps = made(dnnl_h.dnnl_post_ops_create(engine.out()));
    for (Recipe.PostOp op : recipe.postOps()) {
      check(op.append(this, postOps));
    }
    attributes = made(dnnl_h.dnnl_primitive_attr_create(engine.out()));
    check(dnnl_h.dnnl_primitive_attr_set_post_ops(attributes, postOps));
    check(
        dnnl_h.dnnl_primitive_attr_set_scratchpad_mode(
            attributes, dnnl_h.dnnl_scratchpad_mode_user()));
  }

  /** Returns what oneDNN is told about an argument, or about its copy in bfloat16. */
  MemorySegment descriptor(Argument argument) {
    return descriptors.get(argument);
  }

  /** Returns what makes the copy of an argument that oneDNN reads; null if it reads this one. */
  Rounding rounding(Argument argument) {
    return roundings.get(argument);
  }

  private MemorySegment descriptor(Argument argument, ElementType type) {
    try (Arena arena = Arena.ofConfined()) {
      Layout layout = argument.layout();
      MemorySegment descriptor =
          made(
              dnnl_h.dnnl_memory_desc_create_with_strides(
                  engine.out(),
                  layout.rank(),
                  longs(arena, layout.sizes()),
                  code(argument.name(), type),
                  longs(arena, layout.orderedStrides())));
      toDestroy.add(descriptor);
      return descriptor;
    }
  }

  private static MemorySegment longs(Arena arena, List<Long> values) {
    return arena.allocateFrom(
        ValueLayout.JAVA_LONG, values.stream().mapToLong(Long::longValue).toArray());
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

  /** Makes a primitive descriptor. */
  MemorySegment make(Creator creator) {
    return makeBackward(null, (out, none, set) -> creator.create(out, set));
  }

  /**
   * Makes a primitive descriptor with that of its forward pass as a hint.
   *
   * @param forward null if no hint is needed
   */
  MemorySegment makeBackward(Creator forward, BackwardCreator backward) {
    if (forward != null) {
      hint = made(forward.create(engine.out(), attributes));
    }
    newest = made(backward.create(engine.out(), hint, attributes));
    if (!passOver(newest)) {
      destroyNewest();
      newest = made(backward.create(engine.out(), hint, attributes));
    }
    return newest;
  }

  MemorySegment exactProduct(Argument left, Argument right, Argument bias, Argument result) {
    MemorySegment l = descriptor(left);
    MemorySegment r = descriptor(right);
    return make((out, set) -> product(out, l, r, bias, result));
  }

  private int product(
      MemorySegment out, MemorySegment left, MemorySegment right, Argument bias, Argument result) {
    return dnnl_h.dnnl_matmul_primitive_desc_create(
        out,
        engine.handle(),
        left,
        right,
        bias == null ? MemorySegment.NULL : descriptor(bias),
        descriptor(result),
        attributes);
  }

  MemorySegment product(Argument left, Argument right, Argument bias, Argument result) {
    if (engine.math() == MathMode.BF16 && canRound(left) && canRound(right)) {
      MemorySegment l = descriptor(left, ElementType.BFLOAT16);
      MemorySegment r = descriptor(right, ElementType.BFLOAT16);
      if (isFast(l, r, bias, result)) {
        round(left, l, engine.left());
        round(right, r, engine.right());
      }
    }
    return exactProduct(left, right, bias, result);
  }

  /** Whether it is a float32 matrix that a conversion can hold, not a vector. */
  private static boolean canRound(Argument argument) {
    Layout layout = argument.layout();
    int rank = layout.rank();
    return argument.type() == ElementType.FLOAT32
        && layout.size(rank - 1) > 1
        && layout.size(rank - 2) > 1
        && layout.numel() <= Integer.MAX_VALUE;
  }

  /** Whether oneDNN has more than a plain loop for a product. */
  private boolean isFast(MemorySegment left, MemorySegment right, Argument bias, Argument result) {
    if (product(engine.out(), left, right, bias, result) != dnnl_h.dnnl_success()) {
      return false;
    }
    newest = engine.result();
    boolean fast = !isPlainLoop(newest);
    destroyNewest();
    return fast;
  }

  /** Has the primitive read a copy of a float32 argument that is rounded to bfloat16. */
  private void round(Argument argument, MemorySegment descriptor, Scratch copy) {
    descriptors.put(argument, descriptor);
    long numel = argument.layout().numel();
    copy.reserve(numel * ElementType.BFLOAT16.byteSize());
    roundings.put(
        argument,
        new Rounding(
            new Conversion(engine, numel, ElementType.FLOAT32, ElementType.BFLOAT16), copy));
  }

  /** Advances in oneDNN's list of implementations; returns false if it has nothing better. */
  private boolean passOver(MemorySegment descriptor) {
    while (recipe.passedOver().contains(implementation(descriptor))) {
      if (dnnl_h.dnnl_primitive_desc_next_impl(descriptor) != dnnl_h.dnnl_success()) {
        return false;
      }
    }
    return recipe.passedOver().isEmpty() || !isPlainLoop(descriptor);
  }

  private boolean isPlainLoop(MemorySegment descriptor) {
    return implementation(descriptor).startsWith("ref");
  }

  /** Returns the name of the implementation that a primitive descriptor stands for. */
  String implementation(MemorySegment descriptor) {
    check(
        dnnl_h.dnnl_primitive_desc_query(
            descriptor, dnnl_h.dnnl_query_impl_info_str(), 0, engine.out()));
    return engine.result().reinterpret(Long.MAX_VALUE).getString(0);
  }

  private void check(int status) {
    Engine.check(recipe.what(), status);
  }

  private MemorySegment made(int status) {
    check(status);
    return engine.result();
  }

  private void destroyNewest() {
    destroy(newest, dnnl_h::dnnl_primitive_desc_destroy);
    newest = MemorySegment.NULL;
  }

  private static void destroy(MemorySegment handle, Engine.Destroyer destroyer) {
    if (handle.address() != 0) {
      destroyer.destroy(handle);
    }
  }

  @Override
  public void close() {
    destroyNewest();
    destroy(hint, dnnl_h::dnnl_primitive_desc_destroy);
    destroy(attributes, dnnl_h::dnnl_primitive_attr_destroy);
    destroy(postOps, dnnl_h::dnnl_post_ops_destroy);
    toDestroy.forEach(dnnl_h::dnnl_memory_desc_destroy);
  }
}
