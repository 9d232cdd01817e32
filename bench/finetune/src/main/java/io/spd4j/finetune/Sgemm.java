package io.spd4j.finetune;

import io.spd4j.onednn.Layout;
import io.spd4j.onednn.MatMul;
import io.spd4j.onednn.OneDnn;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/** The speed of a large float32 matrix product on this machine. */
final class Sgemm {
  private static final long SIZE = 2048;
  private static final int REPEAT = 15;

  private Sgemm() {}

  /** Returns multiplications and additions per second, from the median time. */
  static double flops(int threads) {
    try (Arena arena = Arena.ofConfined();
        OneDnn dnn = OneDnn.open(threads)) {
      Layout square = Layout.rowMajor(SIZE, SIZE);
      MatMul product = dnn.matMul(square, square, square);
      MemorySegment a = arena.allocate(SIZE * SIZE * Float.BYTES, 64);
      MemorySegment b = arena.allocate(SIZE * SIZE * Float.BYTES, 64);
      MemorySegment c = arena.allocate(SIZE * SIZE * Float.BYTES, 64);
      double[] nanos = new double[REPEAT];
      for (int i = 0; i < REPEAT; i++) {
        long start = System.nanoTime();
        product.forward(a, b, c);
        nanos[i] = System.nanoTime() - start;
      }
      Arrays.sort(nanos);
      return 2.0 * SIZE * SIZE * SIZE / nanos[REPEAT / 2] * 1e9;
    }
  }
}
