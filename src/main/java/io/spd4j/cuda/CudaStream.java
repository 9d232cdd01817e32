package io.spd4j.cuda;

import static io.spd4j.generated.cudart.cudart_h.cudaSuccess;

import io.spd4j.generated.cudart.cudart_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Collection;
import java.util.Deque;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntSupplier;

/**
 * A queue of work for a device. The device does the work in order and asynchronously: methods
 * return once the work is enqueued, and a later call reports that it failed. Thread-safe.
 */
public final class CudaStream extends CudaHandle {
  /** CUDA's handle of the legacy default stream, which 0 also names. */
  private static final long LEGACY = 1;

  /** cudaStreamPerThread. */
  private static final long PER_THREAD = 2;

  private final boolean own;

  /** The last capture that this stream was part of. */
  private volatile Capture capture;

  private CudaStream(CudaDevice device, MemorySegment handle, boolean own) {
    super(device, handle);
    this.own = own;
  }

  /**
   * Creates a stream. This stream and the legacy default stream do not wait for each other.
   *
   * @throws CudaException if CUDA fails
   */
  public static CudaStream create(CudaDevice device) {
    MemorySegment handle =
        made(
            device,
            "creating a stream",
            pointer ->
                cudart_h.cudaStreamCreateWithFlags(pointer, cudart_h.cudaStreamNonBlocking()));
    return new CudaStream(device, handle, true);
  }

  /**
   * Returns a stream that another library in this process owns. {@link #close} does not destroy
   * that library's stream, which must exist until then.
   *
   * @param device the device that the stream belongs to
   * @param handle the cudaStream_t (or CUstream); 0 is the legacy default stream. CUDA follows any
   *     other value as a pointer: a value that is no stream can crash the JVM
   * @throws IllegalArgumentException if the stream belongs to another device, or is the per-thread
   *     default stream
   * @throws CudaException if CUDA fails
   */
  public static CudaStream ofHandle(CudaDevice device, long handle) {
    if (device == null) {
      throw new NullPointerException("device is null");
    }
    if (handle == PER_THREAD) {
      throw new IllegalArgumentException(
          "the per-thread default stream differs between threads: create a stream instead");
    }
    MemorySegment pointer = MemorySegment.ofAddress(handle);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment owner = arena.allocate(ValueLayout.JAVA_INT);
      device.run(
          "asking for the device of a stream", () -> cudart_h.cudaStreamGetDevice(pointer, owner));
      int ordinal = owner.get(ValueLayout.JAVA_INT, 0);
      if (ordinal != device.ordinal()) {
        throw new IllegalArgumentException(
            "the stream belongs to device " + ordinal + ", not to " + device);
      }
    }
    return new CudaStream(device, pointer, false);
  }

  /** Returns the cudaStream_t, for other libraries. */
  public long handle() {
    return pointer().address();
  }

  /**
   * Copies between host memory and device memory, or within device memory.
   *
   * <p>A {@link PinnedArena}'s memory is read or written asynchronously, as described there. With
   * any other host memory the call waits until the copy, and so all work before it, is done,
   * because CUDA does not say when it has read or written such memory. That is why such a copy
   * cannot be captured.
   *
   * @param src off-heap memory
   * @param dst off-heap memory of the same size, not read-only and not overlapping src
   * @throws IllegalArgumentException if an argument is not as described, if neither is device
   *     memory, or if device memory lies on another device than this stream's
   * @throws IllegalStateException if an arena or the stream is closed; in a capture, if an argument
   *     lies in neither a {@link DeviceArena} nor a {@link PinnedArena}; in another library's
   *     capture, if an argument is not device memory
   * @throws WrongThreadException if host memory is confined to another thread
   * @throws CudaException if CUDA or earlier work failed
   */
  public void copy(MemorySegment src, MemorySegment dst) {
    Copy copy = Copy.of(src, dst);
    if (copy.withHost() && capturing() && (ownCapture() == null || !copy.waitedFor())) {
      throw new IllegalStateException(
          "host memory can be copied in a capture only if it lies in a PinnedArena, and only in"
              + " a capture by CudaStream.capture");
    }
    enqueue(
        "copying " + copy.bytes() + " bytes",
        copy.arenas(),
        () -> copy.bytes() == 0 ? cudaSuccess() : copy.enqueue(pointer()));
  }

  /**
   * Fills device memory.
   *
   * @param segment memory on this stream's device, not read-only
   * @param value the value of each byte
   * @throws IllegalArgumentException if the segment is not as described
   * @throws IllegalStateException if the segment's arena or the stream is closed
   * @throws CudaException if CUDA or earlier work failed
   */
  public void fill(MemorySegment segment, byte value) {
    Copy.Side dst = Copy.Side.of("the segment", segment, true);
    if (!dst.onDevice()) {
      throw new IllegalArgumentException(
          "the segment is not device memory: use MemorySegment.fill");
    }
    long bytes = segment.byteSize();
    enqueue(
        "filling " + bytes + " bytes",
        List.of(dst.arena()),
        () ->
            bytes == 0
                ? cudaSuccess()
                : cudart_h.cudaMemsetAsync(dst.argument(), value, bytes, pointer()));
  }

  /**
   * Enqueues the caller's own work, such as another library's kernels. Its memory cannot be freed
   * meanwhile; afterwards the arenas wait for the work before they free memory, and a graph that
   * captured the work can be launched only while they are open.
   *
   * @param what the action, for the exception's message, such as "stepping"
   * @param memory at least one segment of each arena that the work uses: each a {@link DeviceArena}
   *     of this stream's device or a {@link PinnedArena}
   * @param work gives this stream the work and returns a cudaError; called once, with the stream's
   *     device as the thread's current one. Its exceptions are passed on
   * @throws IllegalArgumentException if a segment lies in another arena
   * @throws IllegalStateException if an arena or the stream is closed, or the thread is in a
   *     capture that this stream is not part of
   * @throws CudaException if the work does not return cudaSuccess
   */
  public void enqueue(String what, List<MemorySegment> memory, IntSupplier work) {
    if (Capture.LOCK.isHeldByCurrentThread() && !capturing()) {
      throw new IllegalStateException(
          what
              + " goes to a stream that is not captured, so the graph would lack it: use the"
              + " captured stream, or let this stream await one of its events");
    }
    Set<CudaArena> arenas = CudaArena.allOf("memory for " + what, memory);
    enqueue(what, arenas, withReferences(arenas), work);
  }

  private static Set<CudaArena> withReferences(Set<CudaArena> arenas) {
    Set<CudaArena> all = new LinkedHashSet<>(arenas);
    arenas.forEach(arena -> all.addAll(arena.references()));
    return all;
  }

  private void enqueue(String what, Collection<CudaArena> arenas, IntSupplier work) {
    enqueue(what, arenas, arenas, work);
  }

  /**
   * @param arenas the arenas that a graph remembers
   * @param used the arenas that stay open during the call
   */
  private void enqueue(
      String what, Collection<CudaArena> arenas, Collection<CudaArena> used, IntSupplier work) {
    Deque<CudaArena> held = new ArrayDeque<>();
    try {
      for (CudaArena arena : used) {
        arena.acquire(device());
        held.push(arena);
      }
      Capture current = ownCapture();
      if (current != null) {
        current.add(arenas);
      }
      use(what, work);
    } finally {
      held.forEach(CudaArena::release);
    }
  }

  /** Returns the capture by this package that this stream is now part of; null if there is none. */
  private Capture ownCapture() {
    Capture last = capture;
    return last != null && last.isUnderWay() ? last : null;
  }

  /**
   * Waits until the device has done all work of this stream.
   *
   * @throws IllegalStateException if the stream is closed
   * @throws CudaException if CUDA or the work failed, or the stream is being captured
   */
  public void synchronize() {
    use("waiting for a stream", () -> cudart_h.cudaStreamSynchronize(pointer()));
  }

  /**
   * Records a new event after all work that the stream has been given. The caller closes it.
   *
   * @throws IllegalStateException if the stream is closed
   * @throws CudaException if CUDA or earlier work failed
   */
  public CudaEvent record() {
    CudaEvent event = CudaEvent.create(device(), ownCapture());
    try {
      use("recording an event", () -> cudart_h.cudaEventRecord(event.pointer(), pointer()));
      return event;
    } catch (RuntimeException e) {
      event.destroy();
      throw e;
    }
  }

  /**
   * Makes all work that the stream is given from now on wait for an event of any stream.
   *
   * @throws IllegalStateException if the event or the stream is closed
   * @throws CudaException if CUDA or earlier work failed
   */
  public void await(CudaEvent event) {
    event.uses().acquire();
    try {
      use("awaiting an event", () -> cudart_h.cudaStreamWaitEvent(pointer(), event.pointer(), 0));
      if (event.capture() != null) {
        capture = event.capture(); // CUDA now captures this stream, too
      }
    } finally {
      event.uses().release();
    }
  }

  /**
   * Returns whether work that the stream is given now is captured, here or by another library.
   *
   * @throws IllegalStateException if the stream is closed
   * @throws CudaException if CUDA or earlier work failed
   */
  public boolean capturing() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment status = arena.allocate(ValueLayout.JAVA_INT);
      use(
          "asking whether a stream is captured",
          () -> cudart_h.cudaStreamIsCapturing(pointer(), status));
      return status.get(ValueLayout.JAVA_INT, 0) != cudart_h.cudaStreamCaptureStatusNone();
    }
  }

  /**
   * Captures the work that an action gives this stream, instead of running it. Captures other
   * streams too if they wait for an event of this one and, at the end, this one waits for events of
   * theirs. Do the same work once before, because kernels are loaded at their first launch. Only
   * one thread captures at a time, on any device; the others wait.
   *
   * @param work enqueues the work; if it throws, the exception is passed on and the capture dropped
   * @throws IllegalStateException if the stream is the legacy default stream (create another), is
   *     already captured, or is closed
   * @throws CudaException if CUDA fails or the action does what CUDA does not allow in a capture
   */
  public CudaGraph capture(Runnable work) {
    if (handle() == 0 || handle() == LEGACY) {
      throw new IllegalStateException(
          "the legacy default stream cannot be captured: create a stream");
    }
    uses().acquire();
    Capture.LOCK.lock();
    try {
      if (capturing()) {
        throw new IllegalStateException("the stream is already captured");
      }
      // Relaxed: a virtual thread may end the capture on another carrier than it began on, and an
      // allocation by another library, which the other modes forbid, does no harm.
      device()
          .run(
              "beginning a capture",
              () ->
                  cudart_h.cudaStreamBeginCapture(
                      pointer(), cudart_h.cudaStreamCaptureModeRelaxed()));
      return captured(work);
    } finally {
      Capture.LOCK.unlock();
      uses().release();
    }
  }

  /** What a capture recorded, of which a graph can be made. */
  private record Template(CudaDevice device, MemorySegment handle) implements AutoCloseable {
    @Override
    public void close() {
      device.run("closing what was captured", () -> cudart_h.cudaGraphDestroy(handle));
    }
  }

  private CudaGraph captured(Runnable work) {
    Capture current = new Capture();
    capture = current;
    Set<CudaArena> used;
    try {
      work.run();
    } catch (Throwable e) {
      alsoClose(e, () -> end().close());
      throw e;
    } finally {
      used = current.end();
    }
    CudaGraph graph = null;
    try (Template template = end()) {
      graph = CudaGraph.of(device(), template.handle(), used);
      return graph;
    } catch (CudaException e) {
      if (graph != null) {
        alsoClose(e, graph::close);
      }
      throw e;
    }
  }

  private Template end() {
    return new Template(
        device(),
        made(device(), "ending a capture", out -> cudart_h.cudaStreamEndCapture(pointer(), out)));
  }

  private static void alsoClose(Throwable why, Runnable close) {
    try {
      close.run();
    } catch (CudaException e) {
      why.addSuppressed(e);
    }
  }

  /**
   * Enqueues a graph. It runs after its earlier launches on any stream.
   *
   * @param graph a graph of this stream's device
   * @throws IllegalArgumentException if the graph is of another device
   * @throws IllegalStateException if the graph, the stream or an arena whose memory the graph uses
   *     is closed
   * @throws CudaException if CUDA or earlier work failed
   */
  public void launch(CudaGraph graph) {
    graph.uses().acquire();
    try {
      if (graph.device() != device()) {
        throw new IllegalArgumentException(
            "the graph belongs to " + graph.device() + ", not to " + device());
      }
      Set<CudaArena> arenas = graph.arenas();
      enqueue("launching a graph", arenas, withReferences(arenas), () -> graph.launch(pointer()));
    } finally {
      graph.uses().release();
    }
  }

  @Override
  int destroy() {
    return own ? cudart_h.cudaStreamDestroy(pointer()) : cudaSuccess();
  }
}
