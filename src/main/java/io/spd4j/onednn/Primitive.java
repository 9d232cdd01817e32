package io.spd4j.onednn;

import io.spd4j.generated.dnnl.dnnl_exec_arg_t;
import io.spd4j.generated.dnnl.dnnl_h;
import io.spd4j.nativelib.FlightRecorder;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/** A oneDNN primitive, compiled for its shapes. A run allocates nothing. */
final class Primitive {
  private static final MethodHandle EXECUTE = execute();

  /** Takes the address as a number, since the segment's arena may have been closed meanwhile. */
  private static final MethodHandle SET_DATA_HANDLE =
      Linker.nativeLinker()
          .downcallHandle(
              dnnl_h.dnnl_memory_set_data_handle$address(),
              FunctionDescriptor.of(dnnl_h.C_INT, dnnl_h.C_POINTER, ValueLayout.JAVA_LONG));

  private final Engine engine;
  private final String what;
  private final int arguments;
  private final Compilation.Rounding[] roundings;
  private final MemorySegment primitive;
  private final MemorySegment table;

  /**
   * oneDNN's memory objects: those of the arguments, of the operation's own arrays and of the
   * scratch memory; addresses says where each points.
   */
  private final MemorySegment[] memories;

  private final long[] addresses;
  private final long scratchBytes;

  /** Null if this JVM has no Flight Recorder. */
  private final OperationEvent event;

  /**
   * @param descriptor oneDNN's, of the primitive
   */
  Primitive(Engine engine, Recipe recipe, MemorySegment descriptor, Compilation compilation) {
    this.engine = engine;
    what = recipe.what();
    event =
        FlightRecorder.available()
            ? new OperationEvent(what, compilation.implementation(descriptor), recipe.flops())
            : null;
    arguments = recipe.arguments().size();
    int own = recipe.own().size();
    MemorySegment scratch =
        dnnl_h.dnnl_primitive_desc_query_md(descriptor, dnnl_h.dnnl_query_scratchpad_md(), 0);
    scratchBytes = dnnl_h.dnnl_memory_desc_get_size(scratch);
    engine.scratch().reserve(scratchBytes);
    recipe.own().forEach(array -> array.array().segment());
    Engine.check(what, dnnl_h.dnnl_primitive_create(engine.out(), descriptor));
    primitive = engine.owned(dnnl_h::dnnl_primitive_destroy);
    int count = arguments + own + 1;
    memories = new MemorySegment[count];
    addresses = new long[count];
    roundings = new Compilation.Rounding[arguments];
    table = dnnl_exec_arg_t.allocateArray(count, engine.arena());
    for (int i = 0; i < arguments; i++) {
      Recipe.Argument argument = recipe.arguments().get(i);
      add(i, argument.id(), compilation.descriptor(argument));
      roundings[i] = compilation.rounding(argument);
    }
    for (int i = 0; i < own; i++) {
      Recipe.Own array = recipe.own().get(i);
      add(arguments + i, array.argument().id(), compilation.descriptor(array.argument()));
      point(arguments + i, array.array().segment().address());
    }
    add(count - 1, dnnl_h.DNNL_ARG_SCRATCHPAD(), scratch);
  }

  /**
   * Returns the function's handle with room for the segments. FFM keeps an arena open during a call
   * only if one of its segments is an argument, and a table of addresses is not a segment. So the
   * segments follow the arguments that oneDNN knows: in C's calling conventions the caller cleans
   * up, and a callee does not see arguments that it does not expect.
   */
  private static MethodHandle execute() {
    FunctionDescriptor function = dnnl_h.dnnl_primitive_execute$descriptor();
    for (int i = 0; i < Call.MAX_ARGUMENTS; i++) {
      function = function.appendArgumentLayouts(dnnl_h.C_POINTER);
    }
    return Linker.nativeLinker().downcallHandle(dnnl_h.dnnl_primitive_execute$address(), function);
  }

  private void add(int i, int id, MemorySegment descriptor) {
    // Without allocating memory for it: a null handle is DNNL_MEMORY_NONE.
    Engine.check(
        what,
        dnnl_h.dnnl_memory_create(engine.out(), descriptor, engine.handle(), MemorySegment.NULL));
    memories[i] = engine.owned(dnnl_h::dnnl_memory_destroy);
    MemorySegment row = dnnl_exec_arg_t.asSlice(table, i);
    dnnl_exec_arg_t.arg(row, id);
    dnnl_exec_arg_t.memory(row, memories[i]);
  }

  /**
   * Runs on segments that have been checked.
   *
   * @param bound {@link Call#MAX_ARGUMENTS} segments, of which those after the arguments are NULL
   * @throws IllegalStateException if an arena has been closed meanwhile
   */
  void run(MemorySegment[] bound) {
    engine.useThreads();
    for (int i = 0; i < arguments; i++) {
      point(i, roundings[i] == null ? bound[i].address() : roundings[i].round(bound[i]));
    }
    if (scratchBytes > 0) {
      point(memories.length - 1, engine.scratch().segment().address());
    }
    if (event != null) {
      event.begin();
    }
    Engine.check(what, call(bound));
    Engine.check(what, dnnl_h.dnnl_stream_wait(engine.stream()));
    if (event != null) {
      event.end();
      event.commit();
    }
  }

  private void point(int i, long address) {
    if (addresses[i] != address) {
      addresses[i] = 0;
      Engine.check(what, setDataHandle(memories[i], address));
      addresses[i] = address;
    }
  }

  private int call(MemorySegment[] bound) {
    try {
      return (int)
          EXECUTE.invokeExact(
              primitive,
              engine.stream(),
              memories.length,
              table,
              bound[0],
              bound[1],
              bound[2],
              bound[3],
              bound[4],
              bound[5],
              bound[6],
              bound[7]);
    } catch (Throwable e) {
      throw unchecked(e);
    }
  }

  private static int setDataHandle(MemorySegment memory, long address) {
    try {
      return (int) SET_DATA_HANDLE.invokeExact(memory, address);
    } catch (Throwable e) {
      throw unchecked(e);
    }
  }

  private static RuntimeException unchecked(Throwable e) {
    return switch (e) {
      case RuntimeException unchecked -> unchecked;
      case Error error -> throw error;
      default -> throw new AssertionError("a downcall threw a checked exception", e);
    };
  }
}
