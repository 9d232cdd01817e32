package io.spd4j.kernel;

import static io.spd4j.kernel.Codec.GROUP;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.spd4j.ElementType;
import io.spd4j.MomentType;
import io.spd4j.kernel.RandomWords.Use;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * A stretch of a tensor's arrays, converted to float32 on the heap for plain Java: C2 compiles
 * loops over heap arrays to fast code from the start. In loops over a caller's segments it hoists
 * the check for a confined arena's owner if the program's other segments had one, compiles again if
 * that was wrong, and is wrong a hundred times.
 */
final class Tile {
  /** The most elements, a multiple of {@link BlockTable#LANES}: all arrays together fit into L1. */
  static final int LENGTH = 1024;

  final float[] param = new float[LENGTH];
  final float[] grad = new float[LENGTH];
  final float[] anchor = new float[LENGTH];
  final float[] expAvg = new float[LENGTH];
  final float[] expAvgSq = new float[LENGTH];
  final float[] maxExpAvgSq = new float[LENGTH];

  /** Deviations from the anchor, before the update. */
  final float[] dev = new float[LENGTH];

  /** Elements as they are stored. */
  private final short[] halves = new short[LENGTH];

  private final short[] lows = new short[LENGTH];
  private final byte[] codes = new byte[LENGTH];
  private final float[] scales = new float[LENGTH / GROUP];
  private final int[] words = new int[LENGTH];

  /** Reads n elements of the parameter. */
  void readParam(SteppedTensor t, long begin, int n) {
    if (t.low() == null) {
      read(t.param(), t.types().param(), begin, param, n);
    } else {
      copy(t.param(), begin, halves, n);
      copy(t.low(), begin, lows, n);
      for (int i = 0; i < n; i++) {
        param[i] = Codec.join(halves[i], lows[i]);
      }
    }
  }

  /** Reads n elements of the gradient. */
  void readGrad(SteppedTensor t, long begin, int n) {
    read(t.grad(), t.types().grad(), begin, grad, n);
  }

  /** Reads n elements of the anchor, which is 0 if the rule does not use it or there is none. */
  void readAnchor(SteppedTensor t, long begin, int n, boolean anchored) {
    if (anchored && t.anchor() != null) {
      read(t.anchor(), t.types().anchor(), begin, anchor, n);
    } else {
      Arrays.fill(anchor, 0, n, 0);
    }
  }

  /** Reads n elements of the moments. */
  void readMoments(SteppedTensor t, long begin, int n) {
    if (t.types().moments() == MomentType.BLOCKWISE_8BIT) {
      readCodes(t.expAvg(), t.numel(), begin, n);
      for (int i = 0; i < n; i++) {
        expAvg[i] = Codec.fromFirst(scales[i / GROUP], codes[i]);
      }
      readCodes(t.expAvgSq(), t.numel(), begin, n);
      for (int i = 0; i < n; i++) {
        expAvgSq[i] = Codec.fromSecond(scales[i / GROUP], codes[i]);
      }
      return;
    }
    ElementType type = elements(t.types().moments());
    read(t.expAvg(), type, begin, expAvg, n);
    read(t.expAvgSq(), type, begin, expAvgSq, n);
    if (t.maxExpAvgSq() != null) {
      read(t.maxExpAvgSq(), type, begin, maxExpAvgSq, n);
    }
  }

  /**
   * Writes n elements of the parameter.
   *
   * @param step the step count, for random bits
   */
  void writeParam(SteppedTensor t, long begin, int n, long step, Use use) {
    if (t.low() == null) {
      if (t.types().param() != ElementType.FLOAT32) {
        words(t, begin, n, step, use);
      }
      write(param, t.param(), t.types().param(), begin, n);
    } else {
      for (int i = 0; i < n; i++) {
        halves[i] = Codec.high(param[i]);
        lows[i] = Codec.low(param[i]);
      }
      copy(halves, t.param(), begin, n);
      copy(lows, t.low(), begin, n);
    }
  }

  /** Writes n elements of the moments. */
  void writeMoments(SteppedTensor t, long begin, int n, long step) {
    if (t.types().moments() == MomentType.BLOCKWISE_8BIT) {
      for (int i = 0; i < n; i += GROUP) {
        scales[i / GROUP] = Codec.toFirst(expAvg, i, Math.min(i + GROUP, n), codes);
      }
      writeCodes(t.expAvg(), t.numel(), begin, n);
      long block = block(t, begin, step, Use.MOMENTS);
      int first = (int) (begin % BlockTable.BLOCK);
      for (int i = 0; i < n; i += GROUP) {
        int word = RandomWords.word(block, first + i);
        scales[i / GROUP] = Codec.toSecond(expAvgSq, i, Math.min(i + GROUP, n), word, codes);
      }
      writeCodes(t.expAvgSq(), t.numel(), begin, n);
      return;
    }
    ElementType type = elements(t.types().moments());
    if (type != ElementType.FLOAT32) {
      words(t, begin, n, step, Use.MOMENTS);
    }
    write(expAvg, t.expAvg(), type, begin, n);
    for (int i = 0; type != ElementType.FLOAT32 && i < n; i++) {
      words[i] >>>= 16;
    }
    write(expAvgSq, t.expAvgSq(), type, begin, n);
    if (t.maxExpAvgSq() != null) {
      write(maxExpAvgSq, t.maxExpAvgSq(), type, begin, n);
    }
  }

  /** Reads n elements to interpolate between, into {@link #anchor} and {@link #param}. */
  void readInterpolands(Interpolands a, long begin, int n) {
    read(a.from(), a.fromType(), begin, anchor, n);
    read(a.to(), a.toType(), begin, param, n);
  }

  /** Writes n elements of {@link #param}, rounded to nearest. */
  void writeInterpolated(Interpolands a, long begin, int n) {
    switch (a.dstType()) {
      case FLOAT32 -> MemorySegment.copy(param, 0, a.dst(), JAVA_FLOAT, begin * Float.BYTES, n);
      case BFLOAT16 -> {
        for (int i = 0; i < n; i++) {
          halves[i] = Codec.nearestBfloat16(param[i]);
        }
        copy(halves, a.dst(), begin, n);
      }
      default -> {
        for (int i = 0; i < n; i++) {
          halves[i] = Codec.nearestFloat16(param[i]);
        }
        copy(halves, a.dst(), begin, n);
      }
    }
  }

  /** Reads codes and scales of n 8-bit moments that begin with a group. */
  private void readCodes(MemorySegment array, long numel, long begin, int n) {
    MemorySegment.copy(array, JAVA_BYTE, begin, codes, 0, n);
    long at = Codec.scales(numel) + begin / GROUP * Float.BYTES;
    MemorySegment.copy(array, JAVA_FLOAT, at, scales, 0, Math.ceilDiv(n, GROUP));
  }

  private void writeCodes(MemorySegment array, long numel, long begin, int n) {
    MemorySegment.copy(codes, 0, array, JAVA_BYTE, begin, n);
    long at = Codec.scales(numel) + begin / GROUP * Float.BYTES;
    MemorySegment.copy(scales, 0, array, JAVA_FLOAT, at, Math.ceilDiv(n, GROUP));
  }

  /** Returns the type of moments that are stored element by element. */
  private static ElementType elements(MomentType type) {
    return type == MomentType.FLOAT32 ? ElementType.FLOAT32 : ElementType.BFLOAT16;
  }

  /** Makes the random words of n elements. */
  private void words(SteppedTensor t, long begin, int n, long step, Use use) {
    long block = block(t, begin, step, use);
    int first = (int) (begin % BlockTable.BLOCK);
    for (int i = 0; i < n; i++) {
      words[i] = RandomWords.word(block, first + i);
    }
  }

  /** Returns the keys of the random words of the block that an element is in. */
  static long block(SteppedTensor t, long begin, long step, Use use) {
    return RandomWords.block(t.key(), step, (t.offset() + begin) / BlockTable.BLOCK, use);
  }

  private void read(MemorySegment array, ElementType type, long begin, float[] to, int n) {
    if (type == ElementType.FLOAT32) {
      MemorySegment.copy(array, JAVA_FLOAT, begin * Float.BYTES, to, 0, n);
      return;
    }
    copy(array, begin, halves, n);
    if (type == ElementType.BFLOAT16) {
      for (int i = 0; i < n; i++) {
        to[i] = Codec.fromBfloat16(halves[i]);
      }
    } else {
      for (int i = 0; i < n; i++) {
        to[i] = Codec.fromFloat16(halves[i]);
      }
    }
  }

  /** Writes n elements; types other than float32 are rounded with {@link #words}. */
  private void write(float[] from, MemorySegment array, ElementType type, long begin, int n) {
    if (type == ElementType.FLOAT32) {
      MemorySegment.copy(from, 0, array, JAVA_FLOAT, begin * Float.BYTES, n);
      return;
    }
    if (type == ElementType.BFLOAT16) {
      for (int i = 0; i < n; i++) {
        halves[i] = Codec.toBfloat16(from[i], words[i]);
      }
    } else {
      for (int i = 0; i < n; i++) {
        halves[i] = Codec.toFloat16(from[i], words[i]);
      }
    }
    copy(halves, array, begin, n);
  }

  private static void copy(MemorySegment array, long begin, short[] to, int n) {
    MemorySegment.copy(array, JAVA_SHORT, begin * Short.BYTES, to, 0, n);
  }

  private static void copy(short[] from, MemorySegment array, long begin, int n) {
    MemorySegment.copy(from, 0, array, JAVA_SHORT, begin * Short.BYTES, n);
  }
}
