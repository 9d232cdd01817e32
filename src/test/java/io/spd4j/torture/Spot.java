package io.spd4j.torture;

import java.lang.foreign.MemorySegment;

/** Where an array lies, for the model. */
record Spot(Slab slab, long offset, long bytes, boolean readOnly) {
  /** Returns the array of a subject. */
  MemorySegment of(int subject) {
    MemorySegment segment = slab.given(subject).asSlice(offset, bytes);
    return readOnly ? segment.asReadOnly() : segment;
  }

  static MemorySegment of(Spot spot, int subject) {
    return spot == null ? null : spot.of(subject);
  }

  boolean isAlive() {
    return !slab.home.isClosed();
  }

  boolean isConfined() {
    return slab.home.kind == Home.Kind.CONFINED;
  }

  boolean covers(long at) {
    return at >= offset && at < offset + bytes;
  }

  /** Memory that is freed overlaps nothing. */
  boolean overlaps(Spot other) {
    return slab == other.slab
        && isAlive()
        && Math.max(offset, other.offset) < Math.min(offset + bytes, other.offset + other.bytes);
  }

  /** Returns whether it cannot serve as an array; bytes is -1 for any size. */
  boolean isFaulty(int unit, long bytes, boolean written) {
    return slab.home.kind == Home.Kind.HEAP
        || !isAlive()
        || this.bytes % unit != 0
        || offset % unit != 0
        || written && readOnly
        || bytes != 0 && this.bytes == 0 && slab.home.kind == Home.Kind.GLOBAL
        || bytes >= 0 && this.bytes != bytes;
  }
}
