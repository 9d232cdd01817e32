package io.spd4j;

import io.spd4j.kernel.TensorArrays;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Completes the parameters' arrays with the moments that the caller did not bring, set to 0. */
record Moments(Arena arena) {
  /** A cache line, and the widest vector. */
  private static final long ALIGNMENT = 64;

  List<TensorArrays> complete(Parameter[] parameters, ParameterGroup[] groupOf) {
    List<TensorArrays> all = new ArrayList<>(parameters.length);
    for (int i = 0; i < parameters.length; i++) {
      Parameter p = parameters[i];
      all.add(
          new TensorArrays(
              p.data(),
              p.gradient(),
              p.anchor(),
              brought(p.expAvg(), p),
              brought(p.expAvgSq(), p),
              groupOf[i].amsgrad() ? brought(p.maxExpAvgSq(), p) : null));
    }
    return all;
  }

  private MemorySegment brought(MemorySegment moment, Parameter p) {
    return moment != null ? moment : arena.allocate(p.data().byteSize(), ALIGNMENT);
  }
}
