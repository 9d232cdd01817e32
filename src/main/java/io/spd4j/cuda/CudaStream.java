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
 * A queue of work for a device, which does it in this order and behind the caller's back: methods
 * return when the work is enqueued, and what went wrong with it shows in a later call. Thread-safe.
 */
public final class CudaStream extends CudaHandle {
  /** What CUDA takes for the legacy default stream: 0, and this. */
  private static final long LEGACY = 1;

  /** cudaStreamPerThread. */
  private static final long PER_THREAD = 2;

  private final boolean own;

  /** The last one that this stream was part of. */
  private volatile Capture capture;

  private CudaStream(CudaDevice device, MemorySegment handle, boolean own) {
    super(device, handle);
    this.own = own;
  }

  /**
   * Creates a stream, which does not wait for the legacy default stream, nor that for it.
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
   * A stream of another library in this process. That stays its owner: {@link #close} does not
   * destroy it, and it must not be destroyed before.
   *
   * @param device that it belongs to
   * @param handle its cudaStream_t (or CUstream); 0 is the legacy default stream. CUDA follows any
   *     other value as a pointer: one that is no stream's can end the JVM
   * @throws IllegalArgumentException if it belongs to another device, or is the per-thread default
   *     stream
   * @throws CudaException if CUDA fails
   */
  public static CudaStream ofHandle(CudaDevice device, long handle) {
    if (device == null) {
      throw new NullPointerException("device is null");
    }
    if (handle == PER_THREAD) {
      throw new IllegalArgumentException(
          "the per-thread default stream is another one in each thread: take a stream of its own");
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

  /** Its cudaStream_t, for other libraries. */
  public long handle() {
    return pointer().address();
  }

  /**
   * Copies between the host and the device, or on the device.
   *
   * <p>Memory of a {@link PinnedArena} is read or written behind the caller's back: see there. With
   * any other memory of the host this waits until the copy, and thus all work before it, is done:
   * CUDA does not say when it has read or written such memory. So such a copy cannot be captured.
   *
   * @param src off-heap memory
   * @param dst as many bytes of off-heap memory, not read-only and not overlapping src
   * @throws IllegalArgumentException if one is not, if neither is device memory, or if device
   *     memory lies on another device than this stream
   * @throws IllegalStateException if an arena or the stream is closed; in a capture, if memory is
   *     not of a {@link DeviceArena} or a {@link PinnedArena}; in one by another library, if not
   *     all memory is the device's
   * @throws WrongThreadException if memory of the host is confined to another thread
   * @throws CudaException if CUDA or earlier work failed
   */
  public void copy(MemorySegment src, MemorySegment dst) {
    Copy copy = Copy.of(src, dst);
    if (copy.withHost() && capturing() && (ownCapture() == null || !copy.waitedFor())) {
      throw new IllegalStateException(
          "of the host's memory only a PinnedArena's can be copied in a capture, and only in"
              + " CudaStream.capture's");
    }
    enqueue(
        "copying " + copy.bytes() + " bytes",
        copy.arenas(),
        () -> copy.bytes() == 0 ? cudaSuccess() : copy.enqueue(pointer()));
  }

  /**
   * Fills device memory.
   *
   * @param segment on this stream's device, not read-only
   * @param value of each byte
   * @throws IllegalArgumentException if it is no such segment
   * @throws IllegalStateException if its arena or the stream is closed
   * @throws CudaException if CUDA or earlier work failed
   */
  public void fill(MemorySegment segment, byte value) {
    Copy.Side dst = Copy.Side.of("the segment", segment, true);
    if (!dst.onDevice()) {
      throw new IllegalArgumentException("the segment is no device memory: use MemorySegment.fill");
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
   * Enqueues work of one's own, such as another library's kernels, while the memory it uses cannot
   * be freed: arenas wait for it from then on, and a graph that it is captured in is only launched
   * as long as they are open.
   *
   * @param what is being done, for the exception: "stepping"
   * @param memory at least a segment of each arena that the work uses, each of a {@link
   *     DeviceArena} of this stream's device or a {@link PinnedArena}
   * @param work is called once, with the device as the thread's current one; it gives this stream
   *     the work and returns a cudaError. What it throws is passed on
   * @throws IllegalArgumentException if memory is something else
   * @throws IllegalStateException if an arena or the stream is closed, or the thread captures
   *     another stream
   * @throws CudaException if it does not return cudaSuccess
   */
  public void enqueue(String what, List<MemorySegment> memory, IntSupplier work) {
    if (Capture.LOCK.isHeldByCurrentThread() && !capturing()) {
      throw new IllegalStateException(
          what
              + " goes to a stream that is not captured, so the graph would lack it: give it the"
              + " captured stream, or let its stream await an event of that");
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
   * @param arenas that a graph remembers
   * @param used that stay open during the call
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

  /** The capture through {@link #capture} that this stream is part of; null if there is none. */
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
   * A new event behind all work that the stream has been given; the caller closes it.
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
   * Lets the work that the stream will be given from now on wait for an event, of whatever stream.
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
   * Whether what the stream is given now is captured, here or by another library.
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
   * Captures what this stream is given by the action, instead of having it done; of other streams
   * too, which wait for an event of this one, if at the end this one waits for events of theirs. Do
   * the same work once before, since kernels are loaded at their first launch. One thread captures
   * at a time, on whatever device; the others wait.
   *
   * @param work enqueues; what it throws is passed on, and what was captured until then dropped
   * @throws IllegalStateException if the stream is the legacy default stream (create one), is
   *     captured already, or is closed
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
        throw new IllegalStateException("the stream is captured already");
      }
      // Relaxed: a virtual thread may end the capture on another carrier than it began it on, and
      // what the other modes forbid, an allocation by another library, does no harm.
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

  private CudaGraph captured(Runnable work) {
    Capture current = new Capture();
    capture = current;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
      Set<CudaArena> used;
      try {
        work.run();
      } catch (Throwable e) {
        drop(out, e);
        throw e;
      } finally {
        used = current.end();
      }
      end(out);
      MemorySegment template = out.get(ValueLayout.ADDRESS, 0);
      try {
        return CudaGraph.of(device(), template, used);
      } finally {
        cudart_h.cudaGraphDestroy(template);
      }
    }
  }

  private void end(MemorySegment out) {
    device().run("ending a capture", () -> cudart_h.cudaStreamEndCapture(pointer(), out));
  }

  /** Ends a capture of which nothing is wanted. */
  private void drop(MemorySegment out, Throwable why) {
    try {
      end(out);
      cudart_h.cudaGraphDestroy(out.get(ValueLayout.ADDRESS, 0));
    } catch (CudaException e) {
      why.addSuppressed(e);
    }
  }

  /**
   * Enqueues a graph. It is ordered behind its own earlier launches, of whatever stream.
   *
   * @param graph of this stream's device
   * @throws IllegalArgumentException if it is of another device
   * @throws IllegalStateException if the graph, the stream or an arena whose memory it uses is
   *     closed
   * @throws CudaException if CUDA or earlier work failed
   */
  public void launch(CudaGraph graph) {
    graph.uses().acquire();
    try {
      if (graph.device() != device()) {
        throw new IllegalArgumentException(
            "the graph is of " + graph.device() + ", not of " + device());
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
