package io.spd4j.torture;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.MemorySegment.Scope;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;

/**
 * A shared arena in which each segment has pages of its own between two that cannot be accessed: it
 * ends where the second begins, or begins where the first ends. Whoever reads or writes one byte
 * too many there crashes the JVM. Memory is zero at first; after closing, its pages are gone.
 */
public final class GuardedArena implements Arena {
  /** Where a segment touches a page that cannot be accessed. */
  public enum Guard {
    /** Behind it. If its size is not a multiple of the alignment, with a gap of less than that. */
    AFTER,
    /** Before it. */
    BEFORE
  }

  private static final int PROT_NONE = 0;
  private static final int PROT_READ_WRITE = 3;
  private static final boolean MAC = System.getProperty("os.name").startsWith("Mac");
  private static final int MAP_PRIVATE_ANONYMOUS = 2 | (MAC ? 0x1000 : 0x20);

  private static final MethodHandle MMAP =
      handle(
          "mmap",
          FunctionDescriptor.of(
              ValueLayout.ADDRESS,
              ValueLayout.ADDRESS,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_INT,
              ValueLayout.JAVA_LONG));
  private static final MethodHandle MPROTECT =
      handle(
          "mprotect",
          FunctionDescriptor.of(
              ValueLayout.JAVA_INT,
              ValueLayout.ADDRESS,
              ValueLayout.JAVA_LONG,
              ValueLayout.JAVA_INT));
  private static final MethodHandle MUNMAP =
      handle(
          "munmap",
          FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.ADDRESS, ValueLayout.JAVA_LONG));
  private static final long PAGE = pageSize();

  private final Arena arena = Arena.ofShared();
  private final Guard guard;

  /** Makes an arena whose segments all touch the same guard. */
  public GuardedArena(Guard guard) {
    this.guard = guard;
  }

  @Override
  public MemorySegment allocate(long byteSize, long byteAlignment) {
    if (byteSize < 0 || Long.bitCount(byteAlignment) != 1 || byteAlignment > PAGE) {
      throw new IllegalArgumentException(
          "no segment has %d bytes aligned to %d".formatted(byteSize, byteAlignment));
    }
    long usable = (byteSize + PAGE - 1) / PAGE * PAGE;
    MemorySegment pages = map(usable + 2 * PAGE);
    if (usable > 0) {
      protect(pages.asSlice(PAGE, usable));
    }
    long gap = guard == Guard.AFTER ? (usable - byteSize) & -byteAlignment : 0;
    return pages.asSlice(PAGE + gap, byteSize);
  }

  private MemorySegment map(long bytes) {
    try {
      MemorySegment mapped =
          (MemorySegment)
              MMAP.invokeExact(MemorySegment.NULL, bytes, PROT_NONE, MAP_PRIVATE_ANONYMOUS, -1, 0L);
      if (mapped.address() == -1) {
        throw new OutOfMemoryError("mmap refuses " + bytes + " bytes");
      }
      return mapped.reinterpret(bytes, arena, GuardedArena::unmap);
    } catch (Throwable e) {
      throw unchecked(e);
    }
  }

  private static void protect(MemorySegment pages) {
    try {
      if ((int) MPROTECT.invokeExact(pages, pages.byteSize(), PROT_READ_WRITE) != 0) {
        throw new OutOfMemoryError("mprotect refuses " + pages.byteSize() + " bytes");
      }
    } catch (Throwable e) {
      throw unchecked(e);
    }
  }

  private static void unmap(MemorySegment pages) {
    try {
      if ((int) MUNMAP.invokeExact(pages, pages.byteSize()) != 0) {
        throw new AssertionError("munmap fails");
      }
    } catch (Throwable e) {
      throw unchecked(e);
    }
  }

  private static long pageSize() {
    try {
      FunctionDescriptor function = FunctionDescriptor.of(ValueLayout.JAVA_INT);
      return (int) handle("getpagesize", function).invokeExact();
    } catch (Throwable e) {
      throw unchecked(e);
    }
  }

  private static MethodHandle handle(String name, FunctionDescriptor function) {
    Linker linker = Linker.nativeLinker();
    return linker.downcallHandle(linker.defaultLookup().find(name).orElseThrow(), function);
  }

  private static RuntimeException unchecked(Throwable e) {
    return switch (e) {
      case RuntimeException unchecked -> unchecked;
      case Error error -> throw error;
      default -> throw new AssertionError(e);
    };
  }

  @Override
  public Scope scope() {
    return arena.scope();
  }

  @Override
  public void close() {
    arena.close();
  }
}
