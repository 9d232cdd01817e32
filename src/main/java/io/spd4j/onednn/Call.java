package io.spd4j.onednn;

import io.spd4j.nativelib.OffHeap;
import io.spd4j.onednn.Recipe.Argument;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Calls of one primitive: {@link #bind} each argument, then {@link #run}. What is wrong with a call
 * is found before oneDNN is asked for anything: the primitive is compiled in the first call that is
 * right. Later calls allocate nothing.
 */
final class Call {
  /** The largest number of arguments of a primitive. */
  static final int MAX_ARGUMENTS = 8;

  private final Engine engine;
  private final Recipe recipe;
  private final Argument[] arguments;
  private final MemorySegment[] bound = new MemorySegment[MAX_ARGUMENTS];

  /** Null before the first call. */
  private Primitive primitive;

  Call(Engine engine, Recipe recipe) {
    this.engine = engine;
    this.recipe = recipe;
    arguments = recipe.arguments().toArray(Argument[]::new);
    Arrays.fill(bound, MemorySegment.NULL);
  }

  /**
   * Checks a segment and makes it an argument of the next run.
   *
   * @param i the argument's place in the recipe
   */
  Call bind(int i, MemorySegment segment) {
    engine.checkUsable();
    Argument argument = arguments[i];
    if (segment == null) {
      throw new NullPointerException(argument.name() + " of " + recipe.what() + " is null");
    }
    if (!segment.isAccessibleBy(Thread.currentThread())) {
      throw new WrongThreadException(
          argument.name() + " of " + recipe.what() + " lies in a confined arena of another thread");
    }
    String fault = OffHeap.fault(segment, argument.type().byteSize(), argument.written());
    if (fault != null) {
      throw new IllegalArgumentException(argument.name() + " of " + recipe.what() + " " + fault);
    }
    if (segment.byteSize() < argument.bytes()) {
      throw new IllegalArgumentException(
          "%s of %s has %d bytes, but needs %d"
              .formatted(argument.name(), recipe.what(), segment.byteSize(), argument.bytes()));
    }
    bound[i] = segment;
    return this;
  }

  /**
   * Checks what concerns several arguments, and compiles if this is the first call.
   *
   * @throws IllegalArgumentException if an argument that is written overlaps another one
   */
  Call ready() {
    boolean ready = false;
    try {
      checkOverlap();
      if (primitive == null) {
        try (Compilation compilation = new Compilation(engine, recipe)) {
          primitive = compilation.primitive();
        }
      }
      ready = true;
      return this;
    } finally {
      if (!ready) {
        forget();
      }
    }
  }

  /**
   * Runs the primitive and forgets the segments.
   *
   * @throws IllegalArgumentException if an argument that is written overlaps another one
   * @throws IllegalStateException if an arena has been closed since its segment was bound
   */
  void run() {
    ready();
    try {
      primitive.run(bound);
    } finally {
      forget();
    }
  }

  private void forget() {
    Arrays.fill(bound, MemorySegment.NULL);
  }

  private void checkOverlap() {
    for (int i = 0; i < arguments.length; i++) {
      if (arguments[i].written()) {
        for (int j = 0; j < arguments.length; j++) {
          if (i != j && overlap(i, j)) {
            throw new IllegalArgumentException(
                "%s of %s overlaps %s"
                    .formatted(arguments[i].name(), recipe.what(), arguments[j].name()));
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
}
