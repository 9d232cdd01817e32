package io.spd4j.onednn;

import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_FROM;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_TO;

import io.spd4j.ElementType;
import io.spd4j.generated.dnnl.dnnl_h;
import java.lang.foreign.MemorySegment;

/**
 * An elementwise conversion of FLOAT32, BFLOAT16 or FLOAT16 to one of these types, except between
 * BFLOAT16 and FLOAT16: oneDNN supports that on some processors only, so convert to FLOAT32 in
 * between. Rounds to nearest, ties to even. A zero may lose its sign, and a value that is subnormal
 * in float32 may become 0. The gradient of a conversion is the conversion back. Made by {@link
 * OneDnn#conversion}; confined to its OneDnn's thread.
 */
public final class Conversion {
  private final Engine engine;
  private final Layout vector;
  private final ElementType from;
  private final ElementType to;
  private Primitive primitive;

  Conversion(Engine engine, long numel, ElementType from, ElementType to) {
    Recipe.code("from", from); // refuses the other types
    Recipe.code("to", to);
    this.engine = engine;
    vector = Layout.rowMajor(Check.size("numel", numel));
    this.from = from;
    this.to = to;
    if (from != to && from != ElementType.FLOAT32 && to != ElementType.FLOAT32) {
      throw new IllegalArgumentException(
          "there is no conversion from " + from + " to " + to + ": convert to FLOAT32 in between");
    }
  }

  /** Converts src into dst. */
  public void forward(MemorySegment src, MemorySegment dst) {
    if (primitive == null) {
      primitive = primitive();
    }
    primitive.bind(0, src).bind(1, dst).run();
  }

  private Primitive primitive() {
    String what = "conversion of " + vector + " from " + from + " to " + to;
    try (Recipe recipe = new Recipe(engine, what)) {
      MemorySegment s = recipe.argument("src", DNNL_ARG_FROM(), vector, from, false, null);
      MemorySegment d = recipe.argument("dst", DNNL_ARG_TO(), vector, to, true, null);
      return recipe.build((out, attributes) ->
          dnnl_h.dnnl_reorder_primitive_desc_create(
              out, s, engine.handle(), d, engine.handle(), attributes));
    }
  }
}
