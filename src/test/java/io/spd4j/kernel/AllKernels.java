package io.spd4j.kernel;

import io.spd4j.nativelib.Isa;
import io.spd4j.nativelib.NativeLibrary;
import java.util.ArrayList;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Named;

/**
 * Every implementation that this machine can run, the C code in each of its tiers included. A JVM
 * that was given a vector width leaves the C code out: it is the same at every width.
 */
public final class AllKernels {
  private AllKernels() {}

  /** Lists the scalar kernels first: tests compare the others with them. */
  public static List<Kernels> list() {
    List<Kernels> all = new ArrayList<>();
    all.add(new ScalarKernels());
    all.add(new VectorKernels());
    if (System.getProperty("spd4j.vector.bits") == null && NativeLibrary.spd4j().loaded()) {
      Isa.all().forEach(isa -> all.add(new NativeKernels(isa)));
    }
    return all;
  }

  /** Returns whether this JVM was given the vector width that it prefers anyway. */
  public static boolean givenOwnWidth() {
    int preferred = Math.min(FloatVector.SPECIES_PREFERRED.vectorBitSize(), 512);
    return Integer.getInteger("spd4j.vector.bits", 0) == preferred;
  }

  /** Lists the kernels with names for {@link EachKernels}. */
  static List<Named<Kernels>> named() {
    return list().stream().map(k -> Named.of(k.name() + " " + k.detail(), k)).toList();
  }
}
