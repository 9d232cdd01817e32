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
 * Memory that CUDA allocates, and that devices may still work with when a call has returned. Its
 * methods serve the two kinds of it.
 */
abstract sealed class CudaArena implements Arena permits DeviceArena, PinnedArena {
  /** The open ones, by the scope that their segments have. */
  private static final Map<MemorySegment.Scope, CudaArena> OPEN = new ConcurrentHashMap<>();

  private final CudaDevice device;
  private final Arena lifetime;
  private final long alignment;
  private final Uses uses = new Uses("this " + getClass().getSimpleName());

  /** Whose streams were given segments of this arena. */
  private final Set<CudaDevice> users = ConcurrentHashMap.newKeySet();

  /** Whose memory the memory of this one holds addresses of. */
  private volatile Set<CudaArena> references = Set.of();

  private final Queue<IntSupplier> cleanups = new ConcurrentLinkedQueue<>();

  /**
   * An arena whose segments are known from here on.
   *
   * @param lifetime the arena whose scope the segments have
   * @param alignment bytes that every address from CUDA is a multiple of
   */
  CudaArena(CudaDevice device, Arena lifetime, long alignment) {
    this.device = device;
    this.lifetime = lifetime;
    this.alignment = alignment;
    users.add(device);
    OPEN.put(lifetime.scope(), this);
  }

  /** The open arena that a segment is of; null if it is none of this package's. */
  static CudaArena of(MemorySegment segment) {
    return OPEN.get(segment.scope());
  }

  /**
   * The arenas of segments that are to be used.
   *
   * @param what names the segments
   * @throws IllegalArgumentException if one is of no arena of this package's
   * @throws IllegalStateException if its arena, of whatever kind, is closed
   */
  static Set<CudaArena> allOf(String what, List<MemorySegment> segments) {
    Set<CudaArena> arenas = new LinkedHashSet<>();
    for (MemorySegment segment : segments) {
      CudaArena arena = ofLive(what, segment);
      if (arena == null) {
        throw new IllegalArgumentException(
            what + " is neither of a DeviceArena nor of a PinnedArena");
      }
      arenas.add(arena);
    }
    return arenas;
  }

  /**
   * The same of a segment that is to be used.
   *
   * @param what names the segment
   * @throws IllegalStateException if its arena, of whatever kind, is closed
   */
  static CudaArena ofLive(String what, MemorySegment segment) {
    CudaArena arena = of(segment); // first: what is closed meanwhile is not taken for the host's
    if (!segment.scope().isAlive()) {
      throw new IllegalStateException(what + " lies in an arena that is closed");
    }
    return arena;
  }

  /** What is allocated, for exceptions. */
  abstract String kind();

  /** Allocates; returns a cudaError. */
  abstract int malloc(MemorySegment pointer, long bytes);

  /** Frees; returns a cudaError. */
  abstract int free(MemorySegment address);

  /** A segment over memory that has just been allocated, filled with zeros. */
  abstract MemorySegment zeroed(long address, long bytes);

  /**
   * Ends the life of the segments.
   *
   * @throws IllegalStateException if native code uses one; nothing has changed then
   */
  abstract void closeLifetime(Arena lifetime);

  /**
   * Whether the streams of a device may use this memory.
   *
   * @throws IllegalArgumentException if not
   */
  abstract void checkUser(CudaDevice user);

  Arena lifetime() {
    return lifetime;
  }

  /** The arenas that work with this one's memory uses, too. */
  Set<CudaArena> references() {
    return references;
  }

  void references(Set<CudaArena> references) {
    this.references = references;
  }

  /** The device that the arena was opened for. */
  public CudaDevice device() {
    return device;
  }

  @Override
  public MemorySegment.Scope scope() {
    return lifetime.scope();
  }

  /** Calls CUDA once the devices have finished, when the arena is closed; returns a cudaError. */
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
   * Allocates memory, filled with zeros, which is freed when the arena is closed.
   *
   * @param byteSize 0 or more
   * @param byteAlignment a power of two
   * @throws IllegalArgumentException if an argument is something else
   * @throws IllegalStateException if the arena is closed
   * @throws CudaException if CUDA fails, as it does where there is not enough memory
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
   * Waits until the devices that use this memory have finished what they were given, and frees it.
   * During a {@link CudaStream#capture} of another thread it first waits for the end of that.
   *
   * @throws IllegalStateException if the arena is closed already, a call uses it at this moment, or
   *     this thread captures; nothing has changed then
   * @throws CudaException if CUDA or the work that was waited for failed; the arena is closed then
   */
  @Override
  public void close() {
    if (Capture.LOCK.isHeldByCurrentThread()) {
      throw new IllegalStateException("an arena cannot be closed in a capture");
    }
    if (!uses.close()) {
      throw new IllegalStateException("this arena is closed already");
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
