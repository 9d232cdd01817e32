package io.spd4j.cuda;

import io.spd4j.generated.cudart.cudart_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.IntSupplier;

/**
 * An arena of memory that CUDA allocates. Devices may still use the memory after a call has
 * returned. The base of device arenas and pinned arenas.
 */
abstract sealed class CudaArena implements Arena permits DeviceArena, PinnedArena {
  /** The open arenas, by the scope of their segments. */
  private static final Map<MemorySegment.Scope, CudaArena> OPEN = new ConcurrentHashMap<>();

  private final CudaDevice device;
  private final Arena lifetime;
  private final long alignment;
  private final Uses uses = new Uses("this " + getClass().getSimpleName());

  /** The arena's device and all others whose streams were given segments of this arena. */
  private final Set<CudaDevice> users = ConcurrentHashMap.newKeySet();

  /** The arenas that addresses in this arena's memory point into. */
  private volatile Set<CudaArena> references = Set.of();

  private final Queue<IntSupplier> cleanups = new ConcurrentLinkedQueue<>();

  /**
   * Opens an arena and lets {@link #of} find it by its segments.
   *
   * @param lifetime the arena that gives the segments their scope
   * @param alignment every address from CUDA is a multiple of this many bytes
   */
  CudaArena(CudaDevice device, Arena lifetime, long alignment) {
    this.device = device;
    this.lifetime = lifetime;
    this.alignment = alignment;
    users.add(device);
    OPEN.put(lifetime.scope(), this);
  }

  /** Returns the open arena of this package that a segment lies in; null if there is none. */
  static CudaArena of(MemorySegment segment) {
    return OPEN.get(segment.scope());
  }

  /**
   * Returns the arenas of segments that are about to be used.
   *
   * @param what names the segments in messages
   * @throws IllegalArgumentException if a segment lies in no arena of this package
   * @throws IllegalStateException if a segment's arena, of any kind, is closed
   */
  static Set<CudaArena> allOf(String what, List<MemorySegment> segments) {
    Set<CudaArena> arenas = new LinkedHashSet<>();
    for (MemorySegment segment : segments) {
      CudaArena arena = ofLive(what, segment);
      if (arena == null) {
        throw new IllegalArgumentException(
            what + " lies in neither a DeviceArena nor a PinnedArena");
      }
      arenas.add(arena);
    }
    return arenas;
  }

  /**
   * Returns the open arena of this package that a segment lies in; null if there is none.
   *
   * @param what names the segment in messages
   * @throws IllegalStateException if the segment's arena, of any kind, is closed
   */
  static CudaArena ofLive(String what, MemorySegment segment) {
    CudaArena arena = of(segment); // first, or one closed meanwhile would pass for host memory
    if (!segment.scope().isAlive()) {
      throw new IllegalStateException(what + " lies in an arena that is closed");
    }
    return arena;
  }

  /** Returns what is allocated, for messages. */
  abstract String kind();

  /** Allocates memory; returns a cudaError. */
  abstract int malloc(MemorySegment pointer, long bytes);

  /** Frees memory; returns a cudaError. */
  abstract int free(MemorySegment address);

  /** Returns a segment over newly allocated memory, filled with zeros. */
  abstract MemorySegment zeroed(long address, long bytes);

  /**
   * Ends the lifetime of the segments.
   *
   * @throws IllegalStateException if native code is using one; then nothing has changed
   */
  abstract void closeLifetime(Arena lifetime);

  /**
   * Checks that the streams of a device may use this memory.
   *
   * @throws IllegalArgumentException if they may not
   */
  abstract void checkUser(CudaDevice user);

  Arena lifetime() {
    return lifetime;
  }

  /** Returns the arenas that work on this arena's memory also uses. */
  Set<CudaArena> references() {
    return references;
  }

  void references(Set<CudaArena> references) {
    this.references = references;
  }

  /** Returns the device that the arena was opened for. */
  public CudaDevice device() {
    return device;
  }

  @Override
  public MemorySegment.Scope scope() {
    return lifetime.scope();
  }

  /** Adds a call, returning a cudaError, that closing makes once the devices have finished. */
  void onClose(IntSupplier cleanup) {
    cleanups.add(cleanup);
  }

  /**
   * Keeps the arena open until {@link #release}, while work for a device is enqueued.
   *
   * @throws IllegalArgumentException if the memory lies on another device
   * @throws IllegalStateException if the arena is closed
   */
  void acquire(CudaDevice user) {
    checkUser(user);
    uses.acquire();
    users.add(user);
  }

  void release() {
    uses.release();
  }

  /**
   * Allocates memory, filled with zeros. Closing the arena frees it.
   *
   * @param byteSize 0 or more
   * @param byteAlignment a power of two
   * @throws IllegalArgumentException if an argument is out of range
   * @throws IllegalStateException if the arena is closed
   * @throws CudaException if CUDA fails, for example for lack of memory
   */
  @Override
  public MemorySegment allocate(long byteSize, long byteAlignment) {
    if (byteSize < 0) {
      throw new IllegalArgumentException("byteSize must be 0 or more, not " + byteSize);
    }
    if (byteAlignment < 1 || Long.bitCount(byteAlignment) != 1) {
      throw new IllegalArgumentException(
          "byteAlignment must be a power of two, not " + byteAlignment);
    }
    uses.acquire();
    try (Arena calls = Arena.ofConfined()) {
      long slack = Math.max(byteAlignment - alignment, 0);
      long bytes = Math.max(Math.min(byteSize, Long.MAX_VALUE - slack) + slack, 1);
      MemorySegment pointer = calls.allocate(ValueLayout.ADDRESS);
      device.run(
          "allocating %d bytes of %s".formatted(byteSize, kind()), () -> malloc(pointer, bytes));
      MemorySegment allocated = pointer.get(ValueLayout.ADDRESS, 0);
      onClose(() -> free(allocated));
      return zeroed((allocated.address() + byteAlignment - 1) & -byteAlignment, byteSize);
    } finally {
      uses.release();
    }
  }

  /**
   * Waits until the devices that use this memory have finished their work, then frees it. If
   * another thread is in {@link CudaStream#capture}, first waits for that capture to end.
   *
   * @throws IllegalStateException if the arena is already closed, a call is using it, or this
   *     thread is in a capture; then nothing has changed
   * @throws CudaException if CUDA or the work waited for failed; the arena is closed even then
   */
  @Override
  public void close() {
    if (Capture.LOCK.isHeldByCurrentThread()) {
      throw new IllegalStateException("an arena cannot be closed during a capture");
    }
    if (!uses.close()) {
      throw new IllegalStateException("this arena is already closed");
    }
    try {
      closeLifetime(lifetime);
    } catch (IllegalStateException inUse) {
      uses.reopen();
      throw inUse;
    }
    OPEN.remove(lifetime.scope());
    Capture.LOCK.lock();
    try {
      cleanUp();
    } finally {
      Capture.LOCK.unlock();
    }
  }

  private void cleanUp() {
    List<CudaException> failures = new ArrayList<>();
    for (CudaDevice user : users) {
      attempt(user, "waiting for " + user, cudart_h::cudaDeviceSynchronize, failures);
    }
    String freeing = "freeing " + kind();
    for (IntSupplier cleanup : cleanups) {
      attempt(device, freeing, cleanup, failures);
    }
    if (!failures.isEmpty()) {
      throw failures.getFirst();
    }
  }

  private static void attempt(
      CudaDevice device, String what, IntSupplier call, List<CudaException> failures) {
    try {
      device.run(what, call);
    } catch (CudaException e) {
      failures.add(e);
    }
  }
}
