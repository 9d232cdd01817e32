package io.spd4j.kernel;

import static io.spd4j.kernel.VectorMemory.MEMORY;
import static io.spd4j.kernel.VectorMemory.WIDTH;
import static io.spd4j.kernel.VectorMemory.load;
import static io.spd4j.kernel.VectorMemory.store;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;

/** Interpolation in vectors. Plain Java handles the elements after the last whole row of lanes. */
final class VectorInterpolation {
  /** Compiled alone, as {@link VectorLoops} are. */
  private static final MethodHandle[] LOOP = {
    VectorArrays.loop(
        MethodHandles.lookup(),
        "loop",
        long.class,
        long.class,
        float.class,
        float.class,
        long.class,
        int.class)
  };

  private VectorInterpolation() {}

  /** Interpolates. The caller keeps the arrays' arenas open. */
  static void run(Interpolands a) {
    VectorArrays arrays = Workspace.ofThread().arrays();
    long whole = a.numel() & -BlockTable.LANES;
    for (long at = 0; at < whole; at += BlockTable.BLOCK) {
      int n = (int) Math.min(BlockTable.BLOCK, whole - at);
      arrays.ofInterpolands(a, at, n);
      try {
        LOOP[0].invokeExact(
            arrays.anchor, arrays.grad, a.fromWeight(), a.toWeight(), arrays.param, n);
      } catch (Throwable e) {
        throw VectorLoops.unchecked(e);
      }
      arrays.roundInterpolated(a, at, n);
    }
    ScalarKernels.interpolate(a, whole);
  }

  /** Interpolates n float32 elements, a multiple of the vector length, at addresses. */
  private static void loop(long from, long to, float fromWeight, float toWeight, long dst, int n) {
    if (toWeight == 0 || fromWeight == 0) {
      MemorySegment.copy(MEMORY, toWeight == 0 ? from : to, MEMORY, dst, 4L * n);
      return;
    }
    for (int i = 0; i < n; i += WIDTH) {
      final long at = 4L * i;
      store(load(from + at).mul(fromWeight).add(load(to + at).mul(toWeight)), dst + at);
    }
  }
}
