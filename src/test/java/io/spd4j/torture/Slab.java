package io.spd4j.torture;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Memory of which every subject has its own copy. All copies have the same bytes, those around and
 * between arrays included, except that NaNs of float32 may differ.
 */
final class Slab {
  static final long ALIGNMENT = 64;

  final Home home;
  final long bytes;

  /** What the optimizers are given. */
  private final MemorySegment[] given;

  /** The same memory for this test to read and write. */
  private final MemorySegment[] views;

  private final MemorySegment before;
  private final List<Floats> floats = new ArrayList<>();

  /** A float32 array that steps write; of two halves of 16 bits if low is not null. */
  private record Floats(Spot array, Spot low) {
    float value(int subject, long i) {
      if (low == null) {
        return Float.intBitsToFloat(view(array, subject).getAtIndex(JAVA_INT_UNALIGNED, i));
      }
      int high = view(array, subject).getAtIndex(JAVA_SHORT_UNALIGNED, i);
      return Float.intBitsToFloat(
          (high << 16) + view(low, subject).getAtIndex(JAVA_SHORT_UNALIGNED, i));
    }

    void copy(int subject, long i) {
      int size = low == null ? Float.BYTES : Short.BYTES;
      for (Spot half : low == null ? new Spot[] {array} : new Spot[] {array, low}) {
        MemorySegment.copy(view(half, 0), i * size, view(half, subject), i * size, size);
      }
    }
  }

  /** Allocates a slab of zeros. */
  Slab(Home home, long bytes, int subjects) {
    this(home, allocate(home, bytes, subjects));
  }

  /** Wraps a piece of memory of each subject. */
  Slab(Home home, MemorySegment[] given) {
    this.home = home;
    this.given = given;
    bytes = given[0].byteSize();
    views = new MemorySegment[given.length];
    for (int s = 0; s < given.length; s++) {
      views[s] = view(home, given[s]);
      if (home.kind == Home.Kind.GLOBAL) {
        given[s] = MemorySegment.ofAddress(given[s].address()).reinterpret(bytes);
      }
    }
    before = MemorySegment.ofArray(new byte[(int) bytes]);
    keep();
  }

  private static MemorySegment[] allocate(Home home, long bytes, int subjects) {
    MemorySegment[] all = new MemorySegment[subjects];
    for (int s = 0; s < subjects; s++) {
      all[s] = home.allocate(s, bytes);
    }
    return all;
  }

  /** The emulated device's memory is the host's. */
  private static MemorySegment view(Home home, MemorySegment segment) {
    return home.kind == Home.Kind.DEVICE || io.spd4j.cuda.DeviceArena.isDevice(segment)
        ? MemorySegment.ofAddress(segment.address()).reinterpret(segment.byteSize())
        : segment;
  }

  MemorySegment given(int subject) {
    return given[subject];
  }

  /** Returns the first subject's bytes. {@link #share} must follow a change. */
  MemorySegment first() {
    return views[0];
  }

  /** Copies the first subject's bytes to all. */
  void share() {
    for (int s = 1; s < views.length; s++) {
      views[s].copyFrom(views[0]);
    }
    keep();
  }

  /** Notes the bytes that must be there until a call may change them. */
  void keep() {
    if (!home.isClosed()) {
      before.copyFrom(views[0]);
    }
  }

  /** Tells that steps write a float32 array here; low is null unless it is the half of one. */
  void floats(Spot array, Spot low) {
    floats.add(new Floats(array, low));
  }

  /** Returns what is wrong with the bytes; null if nothing is. */
  String fault(boolean mayHaveChanged) {
    if (home.isClosed()) {
      return null;
    }
    if (!mayHaveChanged) {
      long at = views[0].mismatch(before);
      if (at >= 0) {
        return "byte " + at + " of the first subject's has changed";
      }
    }
    for (int s = 1; s < views.length; s++) {
      long from = 0;
      while (true) {
        long at = MemorySegment.mismatch(views[0], from, bytes, views[s], from, bytes);
        if (at < 0) {
          break;
        }
        from += at;
        if (!equalizeNaN(from, s)) {
          return "byte %d is %02x with subject %d, not %02x"
              .formatted(from, views[s].get(JAVA_BYTE, from), s, views[0].get(JAVA_BYTE, from));
        }
      }
    }
    return null;
  }

  /** Gives a subject the first subject's NaN if both have one that covers a byte. */
  private boolean equalizeNaN(long at, int subject) {
    for (Floats f : floats) {
      Spot spot = f.array.slab() == this && f.array.covers(at) ? f.array : f.low;
      if (spot == null || spot.slab() != this || !spot.covers(at)) {
        continue;
      }
      long i = (at - spot.offset()) / (f.low == null ? Float.BYTES : Short.BYTES);
      if (Float.isNaN(f.value(0, i)) && Float.isNaN(f.value(subject, i))) {
        f.copy(subject, i);
        return true;
      }
    }
    return false;
  }

  private static MemorySegment view(Spot spot, int subject) {
    return spot.slab().views[subject].asSlice(spot.offset(), spot.bytes());
  }
}
