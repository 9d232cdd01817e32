package io.spd4j.kernel;

import io.spd4j.nativelib.Isa;
import io.spd4j.nativelib.NativeLibrary;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Named;

/** Every implementation that this machine can run, the C code in each of its tiers included. */
public final class AllKernels {
  private AllKernels() {}

  /** Lists the scalar kernels first: tests compare the others with them. */
  public static List<Kernels> list() {
    List<Kernels> all = new ArrayList<>();
    all.add(new ScalarKernels());
    all.add(new VectorKernels());
    if (NativeLibrary.spd4j().loaded()) {
      Isa.all().forEach(isa -> all.add(new NativeKernels(isa)));
    }
    return all;
  }

  /** Lists the kernels with names for {@link EachKernels}. */
  static List<Named<Kernels>> named() {
    return list().stream().map(k -> Named.of(k.name() + " " + k.detail(), k)).toList();
  }
}
