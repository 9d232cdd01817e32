package io.spd4j.onednn;

import io.spd4j.generated.dnnl.dnnl_exec_arg_t;
import io.spd4j.generated.dnnl.dnnl_h;
import io.spd4j.nativelib.OffHeap;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Arrays;
import java.util.List;

/**
 * A oneDNN primitive with its arguments: {@link #bind} each, then {@link #run}. Neither allocates
 * anything.
 */
final class Primitive {
  /** The largest number of arguments of a primitive. */
  private static final int MAX_ARGUMENTS = 8;

  private static final MethodHandle EXECUTE = execute();

  /** Takes the address as a number, since the segment's arena may have been closed meanwhile. */
  private static final MethodHandle SET_DATA_HANDLE =
      Linker.nativeLinker()
          .downcallHandle(
              dnnl_h.dnnl_memory_set_data_handle$address(),
              FunctionDescriptor.of(dnnl_h.C_INT, dnnl_h.C_POINTER, ValueLayout.JAVA_LONG));

  private final Engine engine;
  private final String what;
  private final Recipe.Argument[] arguments;
  private final MemorySegment primitive;
  private final MemorySegment table;

  /** oneDNN's memory objects, the scratch memory's last; addresses says where each points. */
  private final MemorySegment[] memories;

  private final long[] addresses;
  private final long scratchBytes;

  /** Null if this JVM has no Flight Recorder. */
  private final OperationEvent event;

  private final MemorySegment[] bound = new MemorySegment[MAX_ARGUMENTS];

  Primitive(
      Engine engine,
      String what,
      MemorySegment descriptor,
      List<Recipe.Argument> arguments,
      OperationEvent event) {
    this.event = event;
    this.engine = engine;
    this.what = what;
    this.arguments = arguments.toArray(Recipe.Argument[]::new);
    Engine.check(what, dnnl_h.dnnl_primitive_create(engine.out(), descriptor));
    primitive = engine.owned(dnnl_h::dnnl_primitive_destroy);
    int count = this.arguments.length;
    memories = new MemorySegment[count + 1];
    addresses = new long[count + 1];
    table = dnnl_exec_arg_t.allocateArray(count + 1, engine.arena());
    for (int i = 0; i < count; i++) {
      add(i, this.arguments[i].id(), this.arguments[i].descriptor());
    }
    MemorySegment scratch =
        dnnl_h.dnnl_primitive_desc_query_md(descriptor, dnnl_h.dnnl_query_scratchpad_md(), 0);
    add(count, dnnl_h.DNNL_ARG_SCRATCHPAD(), scratch);
    scratchBytes = dnnl_h.dnnl_memory_desc_get_size(scratch);
    engine.scratch().reserve(scratchBytes);
    Arrays.fill(bound, MemorySegment.NULL);
  }

  /**
   * Returns the function's handle with room for the segments. FFM keeps an arena open during a call
   * only if one of its segments is an argument, and a table of addresses is not a segment. So the
   * segments follow the arguments that oneDNN knows: in C's calling conventions the caller cleans
   * up, and a callee does not see arguments that it does not expect.
   */
  private static MethodHandle execute() {
    FunctionDescriptor function = dnnl_h.dnnl_primitive_execute$descriptor();
    for (int i = 0; i < MAX_ARGUMENTS; i++) {
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
   * Checks a segment and makes it an argument of the next run.
   *
   * @param i the argument's place in the recipe
   */
  Primitive bind(int i, MemorySegment segment) {
    engine.checkUsable();
    Recipe.Argument argument = arguments[i];
    if (segment == null) {
      throw new NullPointerException(argument.name() + " of " + what + " is null");
    }
    if (!segment.isAccessibleBy(Thread.currentThread())) {
      throw new WrongThreadException(
          argument.name() + " of " + what + " lies in a confined arena of another thread");
    }
    String fault = OffHeap.fault(segment, argument.elementSize(), argument.written());
    if (fault != null) {
      throw new IllegalArgumentException(argument.name() + " of " + what + " " + fault);
    }
    if (segment.byteSize() < argument.bytes()) {
      throw new IllegalArgumentException(
          "%s of %s has %d bytes, but needs %d"
              .formatted(argument.name(), what, segment.byteSize(), argument.bytes()));
    }
    bound[i] = segment;
    return this;
  }

  /**
   * Runs the primitive and forgets the segments.
   *
   * @throws IllegalArgumentException if an argument that is written overlaps another one
   * @throws IllegalStateException if an arena has been closed since its segment was bound
   */
  void run() {
    try {
      checkOverlap();
      engine.useThreads();
      for (int i = 0; i < arguments.length; i++) {
        Recipe.Rounding rounding = arguments[i].rounding();
        point(i, rounding == null ? bound[i].address() : rounding.round(bound[i]));
      }
      if (scratchBytes > 0) {
        point(arguments.length, engine.scratch().segment().address());
      }
      if (event != null) {
        event.begin();
      }
      Engine.check(what, call());
      Engine.check(what, dnnl_h.dnnl_stream_wait(engine.stream()));
      if (event != null) {
        event.end();
        event.commit();
      }
    } finally {
      Arrays.fill(bound, MemorySegment.NULL);
    }
  }

  private void point(int i, long address) {
    if (addresses[i] != address) {
      addresses[i] = 0;
      Engine.check(what, setDataHandle(memories[i], address));
      addresses[i] = address;
    }
  }

  private void checkOverlap() {
    for (int i = 0; i < arguments.length; i++) {
      if (arguments[i].written()) {
        for (int j = 0; j < arguments.length; j++) {
          if (i != j && overlap(i, j)) {
            throw new IllegalArgumentException(
                "%s of %s overlaps %s".formatted(arguments[i].name(), what, arguments[j].name()));
          }
        }
      }
    }
  }

  private boolean overlap(int written, int other) {
    long a = bound[written].address();
    long b = bound[other].address();
    boolean same = a == b && arguments[other].name().equals(arguments[written].over());
    boolean back = a == b && arguments[written].name().equals(arguments[other].over());
    return !same && !back && a < b + arguments[other].bytes() && b < a + arguments[written].bytes();
  }

  private int call() {
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
