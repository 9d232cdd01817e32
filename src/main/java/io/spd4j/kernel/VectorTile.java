package io.spd4j.kernel;

import io.spd4j.ElementType;
import io.spd4j.MomentType;
import io.spd4j.kernel.RandomWords.Use;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.stream.Stream;

/**
 * A stretch of a tensor's arrays, converted to float32 off-heap for the Vector API. Arrays that are
 * float32 are not copied. Lengths are multiples of {@link BlockTable#LANES}.
 *
 * <p>The loops of {@link VectorCodec} are called through method handles that are not constants to
 * C2, for the reason that {@link VectorLoops} gives: elements of an array are not.
 */
final class VectorTile {
  /** The most elements: all arrays together fit into L1. */
  static final int LENGTH = 4096;

  /** Bytes from array to array: loads are not mistaken for those of a store 4 KB away. */
  private static final long STRIDE = LENGTH * Float.BYTES + 192;

  private static final MethodType DECODE =
      MethodType.methodType(void.class, long.class, long.class, long.class, int.class);
  private static final MethodType ENCODE =
      MethodType.methodType(
          void.class, long.class, long.class, int.class, long.class, long.class, int.class);
  private static final MethodType WORDS =
      MethodType.methodType(void.class, long.class, int.class, long.class, int.class);

  // What arrays are stored as, other than as float32: indices of the following arrays.
  private static final int BFLOAT16 = 0;
  private static final int FLOAT16 = 1;
  private static final int SPLIT = 2;
  private static final int FIRST = 3;
  private static final int SECOND = 4;
  private static final MethodHandle[] DECODERS = loops("decode", DECODE);
  private static final MethodHandle[] ENCODERS = loops("encode", ENCODE);
  private static final MethodHandle[] WORDS_LOOP = {loop("words", WORDS)};

  private final MemorySegment memory = Arena.ofAuto().allocate(7 * STRIDE, 64);
  private final long words = memory.address() + 6 * STRIDE;

  // The addresses of the stretch's float32 values: in the tile or, if they are stored so, there.
  long param;
  long grad;
  long anchor;
  long expAvg;
  long expAvgSq;
  long maxExpAvgSq;

  private static long codes(MemorySegment array, long begin) {
    return array.address() + begin;
  }

  private static long scales(SteppedTensor t, MemorySegment array, long begin) {
    return array.address() + Codec.scales(t.numel()) + begin / Codec.GROUP * Float.BYTES;
  }

  private static MethodHandle[] loops(String verb, MethodType type) {
    return Stream.of("Bfloat16", "Float16", "Split", "First", "Second")
        .map(format -> loop(verb + format, type))
        .toArray(MethodHandle[]::new);
  }

  private static MethodHandle loop(String name, MethodType type) {
    try {
      return MethodHandles.lookup().findStatic(VectorCodec.class, name, type);
    } catch (ReflectiveOperationException e) {
      throw new AssertionError("a method of this package cannot be found", e);
    }
  }

  /** Converts n elements of the parameter. */
  void readParam(SteppedTensor t, long begin, int n) {
    if (t.low() == null) {
      param = read(t.param(), t.types().param(), begin, 0, n);
    } else {
      param = memory.address();
      decode(SPLIT, halves(t.param(), begin), halves(t.low(), begin), param, n);
    }
  }

  /** Converts n elements of the gradient: in this tile up to a whole block, if nothing else. */
  void readGrad(SteppedTensor t, long begin, int n) {
    grad = read(t.grad(), t.types().grad(), begin, 1, n);
  }

  /** Converts n elements of the anchor, if there is one. */
  void readAnchor(SteppedTensor t, long begin, int n) {
    if (t.anchor() != null) {
      anchor = read(t.anchor(), t.types().anchor(), begin, 2, n);
    }
  }

  /** Converts n elements of the moments. */
  void readMoments(SteppedTensor t, long begin, int n) {
    if (t.types().moments() == MomentType.BLOCKWISE_8BIT) {
      expAvg = memory.address() + 3 * STRIDE;
      decode(FIRST, codes(t.expAvg(), begin), scales(t, t.expAvg(), begin), expAvg, n);
      expAvgSq = memory.address() + 4 * STRIDE;
      decode(SECOND, codes(t.expAvgSq(), begin), scales(t, t.expAvgSq(), begin), expAvgSq, n);
      return;
    }
    ElementType type = elements(t.types().moments());
    expAvg = read(t.expAvg(), type, begin, 3, n);
    expAvgSq = read(t.expAvgSq(), type, begin, 4, n);
    if (t.maxExpAvgSq() != null) {
      maxExpAvgSq = read(t.maxExpAvgSq(), type, begin, 5, n);
    }
  }

  /** Stores n elements of the parameter after step number step. */
  void writeParam(SteppedTensor t, long begin, int n, long step, Use use) {
    if (t.low() != null) {
      encode(SPLIT, param, 0, 0, halves(t.param(), begin), halves(t.low(), begin), n);
    } else if (t.types().param() != ElementType.FLOAT32) {
      words(t, begin, n, step, use);
      write(param, 0, t.param(), t.types().param(), begin, n);
    }
  }

  /** Stores n elements of the moments after step number step. */
  void writeMoments(SteppedTensor t, long begin, int n, long step) {
    MomentType moments = t.types().moments();
    if (moments == MomentType.FLOAT32) {
      return;
    }
    if (moments == MomentType.BLOCKWISE_8BIT) {
      encode(FIRST, expAvg, 0, 0, codes(t.expAvg(), begin), scales(t, t.expAvg(), begin), n);
      long block = Tile.block(t, begin, step, Use.MOMENTS);
      int first = (int) (begin % BlockTable.BLOCK);
      encode(
          SECOND,
          expAvgSq,
          block,
          first,
          codes(t.expAvgSq(), begin),
          scales(t, t.expAvgSq(), begin),
          n);
      return;
    }
    ElementType type = elements(moments);
    words(t, begin, n, step, Use.MOMENTS);
    write(expAvg, 0, t.expAvg(), type, begin, n);
    write(expAvgSq, 16, t.expAvgSq(), type, begin, n);
    if (t.maxExpAvgSq() != null) {
      write(maxExpAvgSq, 16, t.maxExpAvgSq(), type, begin, n);
    }
  }

  private static ElementType elements(MomentType type) {
    return type == MomentType.FLOAT32 ? ElementType.FLOAT32 : ElementType.BFLOAT16;
  }

  private long read(MemorySegment array, ElementType type, long begin, int slot, int n) {
    if (type == ElementType.FLOAT32) {
      return array.address() + begin * Float.BYTES;
    }
    long to = memory.address() + slot * STRIDE;
    decode(type == ElementType.BFLOAT16 ? BFLOAT16 : FLOAT16, halves(array, begin), 0, to, n);
    return to;
  }

  private void write(
      long from, int shift, MemorySegment array, ElementType type, long begin, int n) {
    int format = type == ElementType.BFLOAT16 ? BFLOAT16 : FLOAT16;
    encode(format, from, words, shift, halves(array, begin), 0, n);
  }

  private static long halves(MemorySegment array, long begin) {
    return array.address() + begin * Short.BYTES;
  }

  private static void decode(int format, long from, long more, long to, int n) {
    try {
      DECODERS[format].invokeExact(from, more, to, n);
    } catch (Throwable e) {
      throw VectorLoops.unchecked(e);
    }
  }

  private static void encode(
      int format, long from, long words, int shift, long to, long more, int n) {
    try {
      ENCODERS[format].invokeExact(from, words, shift, to, more, n);
    } catch (Throwable e) {
      throw VectorLoops.unchecked(e);
    }
  }

  private void words(SteppedTensor t, long begin, int n, long step, Use use) {
    long block = Tile.block(t, begin, step, use);
    try {
      WORDS_LOOP[0].invokeExact(block, (int) (begin % BlockTable.BLOCK), words, n);
    } catch (Throwable e) {
      throw VectorLoops.unchecked(e);
    }
  }
}
