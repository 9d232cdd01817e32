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
 * Runs Java code that uses arrays by their addresses, while none of their arenas can be closed.
 * Java keeps a caller's arena open only for native calls that take a segment of it along; so the
 * kernels are called through native code. A thread that tries to close an arena meanwhile gets an
 * {@link IllegalStateException}, and so does a run whose arena is closed already.
 *
 * <p>It needs native access: where that is denied, the class cannot be initialized.
 */
final class OpenArenas {
  /** A run, for the thread that is in it. */
  private static final class Run {
    private Kernels kernels;
    private Pass pass;
    private BlockTable table;
    private long begin;
    private long end;
    private boolean done;
    private Throwable failure;
  }

  private static final ThreadLocal<Run> RUNS = ThreadLocal.withInitial(Run::new);

  /**
   * Levels of {@link #probe}: compiled, 16 KB and more, where the way through native code takes 2
   * to 4, being interpreted at first.
   */
  private static final int LEVELS = 1024;

  private static final MethodHandle THROUGH = through();

  private OpenArenas() {}

  /** Initializes the class: within a step nothing is to fail any more. */
  static void prepare() {}

  /** A native function that calls {@link #called}: it takes segments along and reads none. */
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
      throw new AssertionError("a class may use its own methods", e);
    }
  }

  private static FunctionDescriptor descriptor(MemoryLayout argument) {
    return FunctionDescriptor.ofVoid(
        Collections.nCopies(Holds.WIDTH, argument).toArray(MemoryLayout[]::new));
  }

  /**
   * Runs a pass of the kernels.
   *
   * @param h {@link Holds#WIDTH} segments, the arenas of which stay open
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
    run.done = false;
    try {
      THROUGH.invokeExact(h[0], h[1], h[2], h[3], h[4], h[5], h[6]);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError("a downcall threw a checked exception", e);
    } finally {
      run.table = null;
    }
    if (!run.done) {
      Throwable failure = run.failure;
      run.failure = null;
      if (failure instanceof RuntimeException e) {
        throw e;
      } else if (failure instanceof Error e) {
        throw e;
      }
      throw new AssertionError("a run ended without a word");
    }
  }

  /** What native code calls. An exception that left it would end the JVM. */
  private static void called() {
    Run run = null;
    try {
      run = RUNS.get();
      switch (run.pass) {
        case UPDATE -> run.kernels.update(run.table, run.begin, run.end);
        case PROJECT -> run.kernels.project(run.table, run.begin, run.end);
        case GRAD_SQ -> run.kernels.gradSq(run.table, run.begin, run.end);
      }
      run.done = true;
    } catch (Throwable e) {
      if (run != null) {
        run.failure = e;
      }
    }
  }

  /** Throws the {@link StackOverflowError} here that {@link #called} must not be entered with. */
  private static int probe(int levels) {
    return levels == 0 ? 0 : 1 + probe(levels - 1);
  }
}
