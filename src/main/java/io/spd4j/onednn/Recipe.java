package io.spd4j.onednn;

import io.spd4j.ElementType;
import io.spd4j.generated.dnnl.dnnl_h;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * What a primitive computes: its arguments, in the order in which {@link Call#bind} numbers them,
 * and what is done to the result before it is stored. Describes only: nothing of oneDNN is made,
 * and no memory allocated, until a {@link Compilation} follows the recipe.
 */
final class Recipe {
  /**
   * An argument.
   *
   * @param over another argument that may be the same segment, or null
   */
  record Argument(
      String name,
      int id,
      Layout layout,
      ElementType type,
      long bytes,
      boolean written,
      String over) {}

  /** An argument that is not bound: an array of the operation's own. */
  record Own(Argument argument, Constant array) {}

  /** Makes oneDNN's primitive descriptor with calls of a compilation; returns it. */
  interface Maker {
    MemorySegment make(Compilation compilation);
  }

  /** Appends an operation to oneDNN's list of what is done to the result; returns a status. */
  interface PostOp {
    int append(Compilation compilation, MemorySegment postOps);
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
  private final List<Own> own = new ArrayList<>();
  private final List<PostOp> postOps = new ArrayList<>();
  private long flops;
  private List<String> passedOver = List.of();
  private Maker maker;

  /** Begins a recipe; what names the operation and its shapes in messages. */
  Recipe(Engine engine, String what) {
    this.engine = engine;
    this.what = what;
  }

  Argument reads(String name, int id, Layout layout) {
    return reads(name, id, layout, ElementType.FLOAT32);
  }

  Argument reads(String name, int id, Layout layout, ElementType type) {
    return argument(name, id, layout, type, false, null);
  }

  Argument writes(String name, int id, Layout layout) {
    return argument(name, id, layout, ElementType.FLOAT32, true, null);
  }

  /** Adds an argument that is written and may be the same segment as the argument over. */
  Argument writesOver(String name, int id, Layout layout, String over) {
    return argument(name, id, layout, ElementType.FLOAT32, true, over);
  }

  Argument argument(
      String name, int id, Layout layout, ElementType type, boolean written, String over) {
    long bytes = layout.numel() * type.byteSize();
    Argument argument = new Argument(name, id, layout, type, bytes, written, over);
    arguments.add(argument);
    return argument;
  }

  /** Adds an argument that is not bound. */
  Argument own(String name, int id, Layout layout, Constant array) {
    long bytes = layout.numel() * Float.BYTES;
    Argument argument = new Argument(name, id, layout, ElementType.FLOAT32, bytes, false, null);
    own.add(new Own(argument, array));
    return argument;
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
    then((compilation, ops) -> dnnl_h.dnnl_post_ops_append_eltwise(ops, algorithm, alpha, 0));
  }

  /** Adds an argument to the result as the next operation; its sizes are the result's or 1. */
  void adds(String name, Layout layout) {
    int id = dnnl_h.DNNL_ARG_ATTR_MULTIPLE_POST_OP_BASE() * (postOps.size() + 1);
    Argument addend = reads(name, id | dnnl_h.DNNL_ARG_SRC_1(), layout);
    then((compilation, ops) ->
        dnnl_h.dnnl_post_ops_append_binary(
            ops, dnnl_h.dnnl_binary_add(), compilation.descriptor(addend)));
  }

  /** Adds what is in the result's memory to the result as the next operation. */
  void accumulates() {
    then((compilation, ops) -> dnnl_h.dnnl_post_ops_append_sum(ops, 1, 0, dnnl_h.dnnl_f32()));
  }

  private void then(PostOp op) {
    postOps.add(op);
  }

  /** Sets a matrix product's number of multiplications and additions, for Flight Recorder. */
  void flops(long flops) {
    this.flops = flops;
  }

  /** Passes over implementations of these names if one remains that is not a plain loop. */
  void passesOver(String... implementations) {
    passedOver = List.of(implementations);
  }

  /** Ends the recipe with what oneDNN is to compute of the arguments. */
  Call computes(Maker maker) {
    this.maker = maker;
    return new Call(engine, this);
  }

  /**
   * Ends the recipe with the matrix product of two arguments, of the types that they have, plus a
   * bias (null: none).
   */
  Call exactProduct(Argument left, Argument right, Argument bias, Argument result) {
    return computes(compilation -> compilation.exactProduct(left, right, bias, result));
  }

  /** As {@link #exactProduct}, but rounds float32 if the engine's {@link MathMode} says so. */
  Call product(Argument left, Argument right, Argument bias, Argument result) {
    return computes(compilation -> compilation.product(left, right, bias, result));
  }

  String what() {
    return what;
  }

  List<Argument> arguments() {
    return arguments;
  }

  List<Own> own() {
    return own;
  }

  List<PostOp> postOps() {
    return postOps;
  }

  long flops() {
    return flops;
  }

  List<String> passedOver() {
    return passedOver;
  }

  Maker maker() {
    return maker;
  }
}
