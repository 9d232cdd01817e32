package io.spd4j.torture;

import io.spd4j.cuda.CudaDevice;
import io.spd4j.cuda.DeviceArena;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** An arena for each subject, all of one kind. The model knows whether they are closed. */
final class Home {
  enum Kind {
    /** The owner is the thread that runs the round. */
    CONFINED,
    SHARED,
    AUTO,
    /** Segments of the global scope: addresses whose memory the world keeps. */
    GLOBAL,
    HEAP,
    /** The arena of an optimizer's own moments. */
    OWN,
    /** The memory of the emulated device. */
    DEVICE
  }

  final Kind kind;
  private final Arena[] arenas;
  private boolean closed;

  Home(Kind kind, int subjects) {
    this.kind = kind;
    arenas = new Arena[subjects];
    for (int s = 0; s < subjects; s++) {
      arenas[s] = open(kind, s);
    }
  }

  private static Arena open(Kind kind, int subject) {
    return switch (kind) {
      case CONFINED -> Arena.ofConfined();
      case SHARED -> Arena.ofShared();
      case AUTO, GLOBAL -> Arena.ofAuto();
      case HEAP, OWN -> null;
      // the first subject is plain Java
      case DEVICE -> subject == 0 ? Arena.ofShared() : DeviceArena.open(CudaDevice.of(0));
    };
  }

  MemorySegment allocate(int subject, long bytes) {
    if (kind == Kind.HEAP) {
      return MemorySegment.ofArray(new byte[(int) bytes]);
    }
    return arenas[subject].allocate(bytes, Slab.ALIGNMENT);
  }

  boolean isClosed() {
    return closed;
  }

  /** Returns whether close can be called: automatic arenas cannot be closed. */
  boolean closes() {
    return kind == Kind.CONFINED || kind == Kind.SHARED || kind == Kind.DEVICE;
  }

  void close() {
    if (closes() && !closed) {
      for (Arena arena : arenas) {
        arena.close();
      }
    }
    closed = true;
  }
}
