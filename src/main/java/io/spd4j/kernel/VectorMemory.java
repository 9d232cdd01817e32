package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * Vectors of the machine's preferred width, or of the width that {@code -Dspd4j.vector.bits} names
 * (128, 256 or 512), and access to memory by address, through one constant segment that covers the
 * whole address space.
 *
 * <p>With the caller's segments, every iteration would check an arena's state and owner. HotSpot
 * hoists the check for a confined arena's owner if other segments of the program had one, compiles
 * again because that was wrong, and is wrong a hundred times: half a minute at a thirtieth of the
 * speed. The caller of the loops ensures that addresses are right and stay valid ({@link
 * OpenArenas}).
 */
final class VectorMemory {
  static final VectorSpecies<Float> S = species();
  static final VectorSpecies<Double> D = VectorSpecies.of(double.class, S.vectorShape());
  static final VectorSpecies<Integer> I = VectorSpecies.of(int.class, S.vectorShape());

  /** 16-bit elements, as many as in a vector of floats. */
  static final VectorSpecies<Short> HALF =
      VectorSpecies.of(short.class, VectorShape.forBitSize(S.vectorBitSize() / 2));

  static final int WIDTH = S.length();

  /** Bytes of a vector of either species. */
  static final int BYTES = S.vectorByteSize();

  /** Whether four vectors hold all lanes of a sum. */
  static final boolean IN_REGISTERS = 4 * WIDTH == BlockTable.LANES;

  /** Bytes of a set of float lanes, which hold one sum. */
  static final long SET = (long) BlockTable.LANES * Float.BYTES;

  static final ByteOrder ORDER = ByteOrder.nativeOrder();
  static final MemorySegment MEMORY = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);

  private VectorMemory() {}

  private static VectorSpecies<Float> species() {
    int preferred = Math.min(FloatVector.SPECIES_PREFERRED.vectorBitSize(), 512);
    int bits = Integer.getInteger("spd4j.vector.bits", preferred);
    if (bits != 128 && bits != 256 && bits != 512) {
      throw new IllegalArgumentException("vectors of " + bits + " bits, not 128, 256 or 512");
    }
    return VectorSpecies.of(float.class, VectorShape.forBitSize(bits));
  }

  static FloatVector load(long address) {
    return FloatVector.fromMemorySegment(S, MEMORY, address, ORDER);
  }

  static void store(FloatVector vector, long address) {
    vector.intoMemorySegment(MEMORY, address, ORDER);
  }

  static DoubleVector loadDoubles(long address) {
    return DoubleVector.fromMemorySegment(D, MEMORY, address, ORDER);
  }

  static void store(DoubleVector vector, long address) {
    vector.intoMemorySegment(MEMORY, address, ORDER);
  }

  static void store(double value, long address) {
    MEMORY.set(JAVA_DOUBLE, address, value);
  }

  /** Copies floats from the heap. */
  static void store(float[] values, long address) {
    MemorySegment.copy(values, 0, MEMORY, JAVA_FLOAT, address, values.length);
  }

  /** Copies doubles to the heap. */
  static void load(long address, double[] values) {
    MemorySegment.copy(MEMORY, JAVA_DOUBLE, address, values, 0, values.length);
  }

  /** Copies floats to the heap. */
  static void load(long address, float[] values) {
    MemorySegment.copy(MEMORY, JAVA_FLOAT, address, values, 0, values.length);
  }
}
