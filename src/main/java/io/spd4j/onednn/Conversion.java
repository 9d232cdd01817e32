package io.spd4j.onednn;

import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_FROM;
import static io.spd4j.generated.dnnl.dnnl_h.DNNL_ARG_TO;

import io.spd4j.ElementType;
import io.spd4j.generated.dnnl.dnnl_h;
import io.spd4j.onednn.Recipe.Argument;
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
  private final Call call;

  Conversion(Engine engine, long numel, ElementType from, ElementType to) {
    Compilation.code("from", from); // refuses the other types
    Compilation.code("to", to);
    this.engine = engine;
    vector = Layout.rowMajor(Check.size("numel", numel));
    this.from = from;
    this.to = to;
    if (from != to && from != ElementType.FLOAT32 && to != ElementType.FLOAT32) {
      throw new IllegalArgumentException(
          "there is no conversion from " + from + " to " + to + ": convert to FLOAT32 in between");
    }
    call = call();
  }

  /** Converts src into dst. */
  public void forward(MemorySegment src, MemorySegment dst) {
    call.bind(0, src).bind(1, dst).run();
  }

  private Call call() {
    Recipe recipe = new Recipe(engine, "conversion of " + vector + " from " + from + " to " + to);
    Argument s = recipe.reads("src", DNNL_ARG_FROM(), vector, from);
    Argument d = recipe.argument("dst", DNNL_ARG_TO(), vector, to, true, null);
    return recipe.computes(c ->
        c.make((out, attributes) ->
            dnnl_h.dnnl_reorder_primitive_desc_create(
                out,
                c.descriptor(s),
                engine.handle(),
                c.descriptor(d),
                engine.handle(),
                attributes)));
  }
}
