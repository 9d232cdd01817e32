package io.spd4j.cuda;

import java.util.Collection;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;

/** A capture in progress and the arenas whose memory its graph will use. Thread-safe. */
final class Capture {
  /**
   * Held by a thread that captures and by a thread that waits for a device: CUDA forbids waiting
   * for a device while any of its streams is being captured.
   */
  static final ReentrantLock LOCK = new ReentrantLock();

  private final Set<CudaArena> arenas = ConcurrentHashMap.newKeySet();
  private volatile boolean underWay = true;

  void add(Collection<CudaArena> used) {
    arenas.addAll(used);
  }

  /** Ends the capture; returns its arenas and forgets them. */
  Set<CudaArena> end() {
    underWay = false;
    Set<CudaArena> used = Set.copyOf(arenas);
    arenas.clear();
    return used;
  }

  boolean isUnderWay() {
    return underWay;
  }
}
