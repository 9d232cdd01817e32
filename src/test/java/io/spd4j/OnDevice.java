package io.spd4j;

import io.spd4j.cuda.CudaDevice;
import io.spd4j.cuda.CudaStream;
import io.spd4j.cuda.DeviceArena;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Copies of host parameters in device memory: twins with the same bits and the same address modulo
 * 64.
 */
final class OnDevice implements AutoCloseable {
  final CudaDevice device = CudaDevice.of(0);
  final DeviceArena arena = DeviceArena.open(device);
  final CudaStream stream = CudaStream.create(device);

  /** The twin of each original, in the order in which they were made. */
  private final Map<Parameter, Parameter> twins = new LinkedHashMap<>();

  /** Returns a copy in device memory; null for null. */
  MemorySegment copy(MemorySegment host) {
    if (host == null) {
      return null;
    }
    MemorySegment copy = Tensors.room(arena, host);
    stream.copy(host, copy);
    return copy;
  }

  Parameter twin(Parameter p) {
    Parameter twin = Tensors.twin(p, this::copy);
    twins.put(p, twin);
    return twin;
  }

  /** Copies the gradient of every original to its twin. */
  void copyGradients() {
    twins.forEach((p, twin) -> {
      if (p.gradient() != null) {
        stream.copy(p.gradient(), twin.gradient());
      }
    });
  }

  /** Returns the bytes of a segment in device memory. */
  byte[] read(MemorySegment segment) {
    try (Arena host = Arena.ofConfined()) {
      MemorySegment copy = host.allocate(segment.byteSize());
      stream.copy(segment, copy);
      return copy.toArray(ValueLayout.JAVA_BYTE);
    }
  }

  @Override
  public void close() {
    stream.close();
    arena.close();
  }
}
