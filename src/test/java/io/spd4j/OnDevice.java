package io.spd4j;

import io.spd4j.cuda.CudaDevice;
import io.spd4j.cuda.CudaStream;
import io.spd4j.cuda.DeviceArena;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Device twins of parameters in the host's memory: the same bits, at addresses as odd as theirs.
 */
final class OnDevice implements AutoCloseable {
  private static final long LINE = 64;

  final CudaDevice device = CudaDevice.of(0);
  final DeviceArena arena = DeviceArena.open(device);
  final CudaStream stream = CudaStream.create(device);

  /** The twins by their originals, in the order in which they were made. */
  private final Map<Parameter, Parameter> twins = new LinkedHashMap<>();

  /** A copy in device memory; null of null. */
  MemorySegment copy(MemorySegment host) {
    if (host == null) {
      return null;
    }
    MemorySegment copy =
        arena
            .allocate(host.byteSize() + LINE, LINE)
            .asSlice(host.address() % LINE, host.byteSize());
    stream.copy(host, copy);
    return copy;
  }

  /** A twin without moments. */
  Parameter twin(Parameter p) {
    Parameter twin =
        Parameter.builder(p.name(), copy(p.data()))
            .gradient(copy(p.gradient()))
            .anchor(copy(p.anchor()))
            .build();
    twins.put(p, twin);
    return twin;
  }

  List<Parameter> twins(Collection<Parameter> parameters) {
    return parameters.stream().map(this::twin).toList();
  }

  /** Gives every twin the gradient of its original. */
  void copyGradients() {
    twins.forEach((p, twin) -> {
      if (p.gradient() != null) {
        stream.copy(p.gradient(), twin.gradient());
      }
    });
  }

  /** The bytes of device memory. */
  byte[] read(MemorySegment segment) {
    try (Arena host = Arena.ofConfined()) {
      MemorySegment copy = host.allocate(segment.byteSize());
      stream.copy(segment, copy);
      return copy.toArray(ValueLayout.JAVA_BYTE);
    }
  }

  /** As {@link Model#bits}. */
  int[][] bits(Collection<Parameter> parameters) {
    List<int[]> all = new ArrayList<>();
    try (Arena host = Arena.ofConfined()) {
      for (Parameter p : parameters) {
        for (MemorySegment s :
            new MemorySegment[] {p.data(), p.expAvg(), p.expAvgSq(), p.maxExpAvgSq()}) {
          if (s == null) {
            all.add(new int[0]);
          } else {
            MemorySegment copy = host.allocate(s.byteSize(), LINE);
            stream.copy(s, copy);
            all.add(copy.toArray(ValueLayout.JAVA_INT));
          }
        }
      }
    }
    return all.toArray(int[][]::new);
  }

  @Override
  public void close() {
    stream.close();
    arena.close();
  }
}
