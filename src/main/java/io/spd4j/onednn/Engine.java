package io.spd4j.onednn;

import io.spd4j.generated.dnnl.dnnl_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * oneDNN's engine and stream, the scratch memory that all primitives share, and all handles to
 * destroy at the end. Confined to the thread that made it.
 */
final class Engine implements AutoCloseable {
  private final Arena arena = Arena.ofConfined();
  private final Deque<Runnable> destroyers = new ArrayDeque<>();
  private final MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
  private final Thread owner = Thread.currentThread();
  private final int threads;
  private final MathMode math;
  private final MemorySegment engine;
  private final MemorySegment stream;
  private final Scratch scratch = new Scratch();
  private final Scratch left = new Scratch();
  private final Scratch right = new Scratch();

  Engine(int threads, MathMode math) {
    this.threads = threads;
    this.math = math;
    boolean ready = false;
    try {
      useThreads();
      check("engine", dnnl_h.dnnl_engine_create(out, dnnl_h.dnnl_cpu(), 0));
      engine = owned(dnnl_h::dnnl_engine_destroy);
      check("stream", dnnl_h.dnnl_stream_create(out, engine, dnnl_h.dnnl_stream_default_flags()));
      stream = owned(dnnl_h::dnnl_stream_destroy);
      ready = true;
    } finally {
      if (!ready) {
        close();
      }
    }
  }

  /** One of oneDNN's destructors. */
  interface Destroyer {
    int destroy(MemorySegment handle);
  }

  /** Returns the handle that a call wrote to {@link #out}; closing destroys the newest first. */
  MemorySegment owned(Destroyer destroyer) {
    MemorySegment handle = result();
    destroyers.push(() -> destroyer.destroy(handle));
    return handle;
  }

  /** Returns how many of oneDNN's objects were made and live as long as the engine. */
  int made() {
    return destroyers.size();
  }

  /** Returns where oneDNN's constructors write their handle. */
  MemorySegment out() {
    return out;
  }

  /** Returns the handle that was written to {@link #out}. */
  MemorySegment result() {
    return out.get(ValueLayout.ADDRESS, 0);
  }

  /** Returns how matrix products are computed, FLOAT32 or BF16. */
  MathMode math() {
    return math;
  }

  Arena arena() {
    return arena;
  }

  MemorySegment handle() {
    return engine;
  }

  MemorySegment stream() {
    return stream;
  }

  /**
   * Checks that the calling thread can use the engine now.
   *
   * @throws WrongThreadException if this is not the thread that made the engine
   * @throws IllegalStateException if the engine is closed
   */
  void checkUsable() {
    if (Thread.currentThread() != owner) {
      throw new WrongThreadException("this OneDnn belongs to the thread " + owner.getName());
    }
    if (!arena.scope().isAlive()) {
      throw new IllegalStateException("this OneDnn is closed");
    }
  }

  /** Sets the calling thread's OpenMP thread count, because other code may have changed it. */
  void useThreads() {
    dnnl_h.omp_set_num_threads(threads);
  }

  /** Returns the memory in which primitives keep what they need while they run. */
  Scratch scratch() {
    return scratch;
  }

  /** Returns the memory for a product's left matrix in bfloat16. */
  Scratch left() {
    return left;
  }

  /** Returns the memory for a product's right matrix in bfloat16. */
  Scratch right() {
    return right;
  }

  static void check(String what, int status) {
    if (status != dnnl_h.dnnl_success()) {
      throw new OneDnnException(what, dnnl_h.dnnl_status2str(status).getString(0));
    }
  }

  /**
   * Destroys everything. A second call does nothing.
   *
   * @throws WrongThreadException if another thread made the engine; then nothing is destroyed
   */
  @Override
  public void close() {
    if (!arena.scope().isAlive()) {
      return;
    }
    checkUsable();
    while (!destroyers.isEmpty()) {
      destroyers.pop().run();
    }
    scratch.close();
    left.close();
    right.close();
    arena.close();
  }
}
