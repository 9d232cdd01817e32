package io.spd4j.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.List;

/** The emulation of CUDA. Tests can run on it and make it fail. */
public final class CudaOnHost {
  private static final String PROPERTY = "spd4j_cuda.library.path";

  private CudaOnHost() {}

  /** Returns whether this JVM was told to load the emulation. */
  static boolean chosen() {
    return System.getProperty(PROPERTY, "").contains("cuda-on-host");
  }

  static Path library() {
    return Path.of(System.getProperty(PROPERTY));
  }

  /** Returns the flags with which another JVM loads the same library; none for the bundled one. */
  static List<String> flags() {
    return chosen() ? List.of("-D" + PROPERTY + "=" + library()) : List.of();
  }

  /**
   * Makes a CUDA runtime function, or any if the name is empty, fail with a cudaError at its
   * after-th call from now.
   */
  public static void fail(String function, int error, long after) {
    try (Arena arena = Arena.ofConfined()) {
      handle("cuda_on_host_fail", ValueLayout.ADDRESS, ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG)
          .invokeExact(arena.allocateFrom(function), error, after);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /** Cancels failures that are still to come, and brings a lost device back. */
  public static void reset() {
    try {
      handle("cuda_on_host_reset").invokeExact();
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /** Returns the function that failed since the last reset; empty if none has. */
  public static String failed() {
    try {
      MemorySegment name =
          (MemorySegment)
              handle("cuda_on_host_failed", FunctionDescriptor.of(ValueLayout.ADDRESS))
                  .invokeExact();
      return name.reinterpret(100).getString(0);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /** Returns how many streams, events, graphs and executable graphs there are. */
  public static long objects() {
    return number("cuda_on_host_objects");
  }

  /** Returns how many calls from now the failure of any function comes. */
  public static long callsUntilFailure() {
    return number("cuda_on_host_after");
  }

  private static long number(String function) {
    try {
      return (long) handle(function, FunctionDescriptor.of(ValueLayout.JAVA_LONG)).invokeExact();
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  private static MethodHandle handle(String function, ValueLayout... parameters) {
    return handle(function, FunctionDescriptor.ofVoid(parameters));
  }

  private static MethodHandle handle(String function, FunctionDescriptor type) {
    MemorySegment address =
        SymbolLookup.libraryLookup(library(), Arena.global()).find(function).orElseThrow();
    return Linker.nativeLinker().downcallHandle(address, type);
  }
}
