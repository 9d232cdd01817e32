package io.spd4j.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/** Reads and writes the bytes of device memory for tests. */
final class DeviceMemory {
  private DeviceMemory() {}

  /** Returns a copy of the segment's bytes. */
  static byte[] read(MemorySegment segment) {
    try (Arena arena = Arena.ofConfined();
        CudaStream stream = CudaStream.create(CudaDevice.of(segment))) {
      MemorySegment host = arena.allocate(segment.byteSize());
      stream.copy(segment, host);
      stream.synchronize();
      return host.toArray(ValueLayout.JAVA_BYTE);
    }
  }

  static void write(byte[] bytes, MemorySegment segment) {
    try (Arena arena = Arena.ofConfined();
        CudaStream stream = CudaStream.create(CudaDevice.of(segment))) {
      stream.copy(arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes), segment);
      stream.synchronize();
    }
  }

  static byte[] random(int size) {
    byte[] bytes = new byte[size];
    SplittableRandom random = new SplittableRandom(size);
    for (int i = 0; i < size; i++) {
      bytes[i] = (byte) random.nextInt();
    }
    return bytes;
  }
}
