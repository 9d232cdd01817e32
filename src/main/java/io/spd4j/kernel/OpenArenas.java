package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Collections;

/**
 * Runs Java code that uses arrays by their addresses, and keeps the arrays' arenas open meanwhile.
 * Java keeps an arena open only during native calls that take one of its segments as an argument,
 * so the kernels are called through native code. A thread that tries to close an arena during a run
 * gets an {@link IllegalStateException}; so does a run whose arena is already closed.
 *
 * <p>Requires native access: if that is denied, the class cannot be initialized.
 */
final class OpenArenas {
  /** Arguments and outcome of a run; each thread has one. */
  private static final class Run {
    private Kernels kernels;
    private Pass pass;
    private BlockTable table;
    private long begin;
    private long end;

    /** What runs instead of a pass; null for a pass. */
    private Runnable work;

    private boolean done;
    private Throwable failure;
  }

  private static final ThreadLocal<Run> RUNS = ThreadLocal.withInitial(Run::new);

  /**
   * Depth of the recursion in {@link #probe}. Compiled, it takes at least 16 KB of stack; the way
   * through native code, interpreted at first, takes 2 to 4 KB.
   */
  private static final int LEVELS = 1024;

  private static final MethodHandle THROUGH = through();

  private OpenArenas() {}

  /** Initializes the class, so that this cannot fail within a step. */
  static void prepare() {}

  /** Returns a native function that calls {@link #called} and ignores its segments. */
  private static MethodHandle through() {
    Linker linker = Linker.nativeLinker();
    FunctionDescriptor words = descriptor(JAVA_LONG);
    try {
      MethodHandle called =
          MethodHandles.lookup()
              .findStatic(OpenArenas.class, "called", MethodType.methodType(void.class));
      MethodHandle target =
          MethodHandles.dropArguments(called, 0, words.toMethodType().parameterList());
      MemorySegment function = linker.upcallStub(target, words, Arena.global());
      return linker.downcallHandle(function, descriptor(ADDRESS));
    } catch (ReflectiveOperationException e) {
      throw new AssertionError("OpenArenas cannot look up its own method", e);
    }
  }

  private static FunctionDescriptor descriptor(MemoryLayout argument) {
    return FunctionDescriptor.ofVoid(
        Collections.nCopies(Holds.WIDTH, argument).toArray(MemoryLayout[]::new));
  }

  /**
   * Runs a pass of the kernels.
   *
   * @param h {@link Holds#WIDTH} segments whose arenas stay open
   */
  static void run(
      Kernels kernels, Pass pass, BlockTable table, long begin, long end, MemorySegment[] h) {
    probe(LEVELS);
    Run run = RUNS.get();
    run.kernels = kernels;
    run.pass = pass;
    run.table = table;
    run.begin = begin;
    run.end = end;
    try {
      through(run, h);
    } finally {
      run.table = null;
    }
  }

  /**
   * Runs anything.
   *
   * @param h {@link Holds#WIDTH} segments whose arenas stay open
   */
  static void run(Runnable work, MemorySegment[] h) {
    probe(LEVELS);
    Run run = RUNS.get();
    run.work = work;
    try {
      through(run, h);
    } finally {
      run.work = null;
    }
  }

  private static void through(Run run, MemorySegment[] h) {
    run.done = false;
    try {
      THROUGH.invokeExact(h[0], h[1], h[2], h[3], h[4], h[5], h[6]);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError("a downcall threw a checked exception", e);
    }
    if (!run.done) {
      Throwable failure = run.failure;
      run.failure = null;
      if (failure instanceof RuntimeException e) {
        throw e;
      } else if (failure instanceof Error e) {
        throw e;
      }
      throw new AssertionError("a run neither finished nor threw");
    }
  }

  /** Runs the pass, called by native code. An exception that left this method would end the JVM. */
  private static void called() {
    Run run = null;
    try {
      run = RUNS.get();
      if (run.work != null) {
        run.work.run();
      } else {
        switch (run.pass) {
          case UPDATE -> run.kernels.update(run.table, run.begin, run.end);
          case PROJECT -> run.kernels.project(run.table, run.begin, run.end);
          case GRAD_SQ -> run.kernels.gradSq(run.table, run.begin, run.end);
        }
      }
      run.done = true;
    } catch (Throwable e) {
      if (run != null) {
        run.failure = e;
      }
    }
  }

  /** Throws a {@link StackOverflowError} here if too little stack is left for {@link #called}. */
  private static int probe(int levels) {
    return levels == 0 ? 0 : 1 + probe(levels - 1);
  }
}
