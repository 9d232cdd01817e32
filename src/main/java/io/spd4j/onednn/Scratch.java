package io.spd4j.onednn;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Memory that all primitives share, of which the largest request decides the size. */
final class Scratch implements AutoCloseable {
  /** The size in bytes of a cache line and of the widest vector. */
  private static final long ALIGNMENT = 64;

  private Arena arena = Arena.ofConfined();
  private MemorySegment segment = MemorySegment.NULL;

  /** Makes the memory at least this large, replacing it if it is smaller. */
  void reserve(long bytes) {
    if (bytes > segment.byteSize()) {
      Arena larger = Arena.ofConfined();
      MemorySegment memory = larger.allocate(bytes, ALIGNMENT);
      arena.close();
      arena = larger;
      segment = memory;
    }
  }

  MemorySegment segment() {
    return segment;
  }

  @Override
  public void close() {
    arena.close();
  }
}
