package io.spd4j;

import io.spd4j.kernel.Tensor;
import io.spd4j.kernel.TensorArrays;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Completes the parameters' arrays with the moments that the caller did not bring, set to 0. */
record Moments(Arena arena) {
  /** A cache line, and the widest vector. */
  private static final long ALIGNMENT = 64;

  List<Tensor> complete(ParameterGroup[] groups) {
    List<Tensor> all = new ArrayList<>();
    for (int g = 0; g < groups.length; g++) {
      for (Parameter p : groups[g].parameters()) {
        all.add(new Tensor(complete(p, groups[g].amsgrad()), g, p.step()));
      }
    }
    return all;
  }

  private TensorArrays complete(Parameter p, boolean amsgrad) {
    return new TensorArrays(
        p.data(),
        p.gradient(),
        p.anchor(),
        brought(p.expAvg(), p),
        brought(p.expAvgSq(), p),
        amsgrad ? brought(p.maxExpAvgSq(), p) : null);
  }

  private MemorySegment brought(MemorySegment moment, Parameter p) {
    return moment != null ? moment : arena.allocate(p.data().byteSize(), ALIGNMENT);
  }
}
