package io.spd4j.kernel;

import io.spd4j.ElementType;
import io.spd4j.MomentType;
import io.spd4j.kernel.RandomWords.Use;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;

/**
 * The addresses of a block's arrays for {@link VectorLoops}, which convert what they read. What
 * they compute for arrays that are rounded goes to a float32 array here first, and is rounded in a
 * loop of its own: all in one loop would be more than C2 inlines.
 *
 * <p>The loops of {@link VectorCodec} are called through method handles that are not constants to
 * C2, for the reason that {@link VectorLoops} gives: elements of an array are not.
 */
final class VectorArrays {
  /** Bytes from one float32 array to the next: no store is 4 KB away from a load. */
  private static final long STRIDE = BlockTable.BLOCK * Float.BYTES + 192;

  private static final MethodHandle[] LOOPS = {
    loop("words", long.class, long.class, int.class),
    loop("decodeBfloat16", long.class, long.class, int.class),
    loop("decodeFloat16", long.class, long.class, int.class),
    loop("encodeBfloat16", long.class, long.class, int.class, long.class, int.class),
    loop("encodeFloat16", long.class, long.class, int.class, long.class, int.class),
    loop("encodeFirst", long.class, long.class, long.class, int.class),
    loop("encodeSecond", long.class, long.class, long.class, long.class, int.class),
    loop("nearestBfloat16", long.class, long.class, int.class),
    loop("nearestFloat16", long.class, long.class, int.class),
  };
  private static final int WORDS = 0;
  private static final int DECODE_BFLOAT16 = 1;
  private static final int DECODE_FLOAT16 = 2;
  private static final int ENCODE_BFLOAT16 = 3;
  private static final int ENCODE_FLOAT16 = 4;
  private static final int ENCODE_FIRST = 5;
  private static final int ENCODE_SECOND = 6;
  private static final int NEAREST_BFLOAT16 = 7;
  private static final int NEAREST_FLOAT16 = 8;

  private final MemorySegment memory = Arena.ofAuto().allocate(7 * STRIDE, 64);

  // Set for each block, those of arrays that the tensor has.
  long param;
  long low;
  long grad;
  long anchor;
  long expAvg;
  long expAvgScales;
  long expAvgSq;
  long expAvgSqScales;
  long maxExpAvgSq;

  // Where float32 values go that are rounded then.
  final long newParam = memory.address();
  final long newExpAvg = newParam + STRIDE;
  final long newExpAvgSq = newExpAvg + STRIDE;
  final long newMaxExpAvgSq = newExpAvgSq + STRIDE;
  private final long gradRoom = newMaxExpAvgSq + STRIDE;
  private final long anchorRoom = gradRoom + STRIDE;
  private final long words = anchorRoom + STRIDE;

  private static MethodHandle loop(String name, Class<?>... parameters) {
    try {
      return loop(
          MethodHandles.privateLookupIn(VectorCodec.class, MethodHandles.lookup()),
          name,
          parameters);
    } catch (IllegalAccessException e) {
      throw new AssertionError("a class of this package cannot be accessed", e);
    }
  }

  /** Returns a static method of the lookup's class, which returns nothing. */
  static MethodHandle loop(MethodHandles.Lookup in, String name, Class<?>... parameters) {
    try {
      MethodType type = MethodType.methodType(void.class, parameters);
      return in.findStatic(in.lookupClass(), name, type);
    } catch (ReflectiveOperationException e) {
      throw new AssertionError("a method of this package cannot be found", e);
    }
  }

  /** Sets the addresses for a block of a tensor whose arrays are all float32. */
  void ofFloat32(SteppedTensor t, long begin) {
    long from = begin * Float.BYTES;
    param = t.param().address() + from;
    grad = t.grad().address() + from;
    anchor = t.anchor() == null ? 0 : t.anchor().address() + from;
    expAvg = t.expAvg().address() + from;
    expAvgSq = t.expAvgSq().address() + from;
    maxExpAvgSq = t.maxExpAvgSq() == null ? 0 : t.maxExpAvgSq().address() + from;
  }

  /** Sets the addresses for an update of n elements of a tensor of any types. */
  void ofUpdate(SteppedTensor t, long begin, int n) {
    ofProjection(t, begin, n);
    grad = read(t.grad(), t.types().grad(), begin, gradRoom, n);
    int moment =
        switch (t.types().moments()) {
          case FLOAT32 -> Float.BYTES;
          case BFLOAT16 -> Short.BYTES;
          case BLOCKWISE_8BIT -> Byte.BYTES;
        };
    expAvg = at(t.expAvg(), begin, moment);
    expAvgSq = at(t.expAvgSq(), begin, moment);
    maxExpAvgSq = at(t.maxExpAvgSq(), begin, moment);
    long scales = Codec.scales(t.numel()) + begin / Codec.GROUP * Float.BYTES;
    expAvgScales = t.expAvg().address() + scales;
    expAvgSqScales = t.expAvgSq().address() + scales;
  }

  /** Sets the addresses for a projection of n elements of a tensor of any types. */
  void ofProjection(SteppedTensor t, long begin, int n) {
    param = read(t.param(), t.types().param(), begin, newParam, n);
    low = at(t.low(), begin, Short.BYTES);
    anchor = read(t.anchor(), t.types().anchor(), begin, anchorRoom, n);
  }

  /** Returns the address of n elements; those of float16 are converted to float32. */
  private static long read(MemorySegment array, ElementType type, long begin, long room, int n) {
    long from = at(array, begin, type.byteSize());
    if (array == null || type != ElementType.FLOAT16) {
      return from;
    }
    try {
      LOOPS[DECODE_FLOAT16].invokeExact(from, room, n);
    } catch (Throwable e) {
      throw VectorLoops.unchecked(e);
    }
    return room;
  }

  private static long at(MemorySegment array, long begin, int byteSize) {
    return array == null ? 0 : array.address() + begin * byteSize;
  }

  /** Rounds n elements of the parameter, unless it is exact. */
  void roundParam(SteppedTensor t, long begin, int n, long step, Use use) {
    ElementType type = t.types().param();
    if (type == ElementType.FLOAT32 || t.low() != null) {
      return;
    }
    try {
      LOOPS[WORDS].invokeExact(Tile.block(t, begin, step, use), words, n);
      LOOPS[type == ElementType.BFLOAT16 ? ENCODE_BFLOAT16 : ENCODE_FLOAT16].invokeExact(
          newParam, words, 0, at(t.param(), begin, Short.BYTES), n);
    } catch (Throwable e) {
      throw VectorLoops.unchecked(e);
    }
  }

  /** Rounds n elements of the moments, unless they are exact. */
  void roundMoments(SteppedTensor t, long begin, int n, long step) {
    MomentType type = t.types().moments();
    if (type == MomentType.FLOAT32) {
      return;
    }
    long block = Tile.block(t, begin, step, Use.MOMENTS);
    try {
      if (type == MomentType.BLOCKWISE_8BIT) {
        LOOPS[ENCODE_FIRST].invokeExact(newExpAvg, expAvg, expAvgScales, n);
        LOOPS[ENCODE_SECOND].invokeExact(newExpAvgSq, block, expAvgSq, expAvgSqScales, n);
        return;
      }
      LOOPS[WORDS].invokeExact(block, words, n);
      LOOPS[ENCODE_BFLOAT16].invokeExact(newExpAvg, words, 0, expAvg, n);
      LOOPS[ENCODE_BFLOAT16].invokeExact(newExpAvgSq, words, 16, expAvgSq, n);
      if (t.maxExpAvgSq() != null) {
        LOOPS[ENCODE_BFLOAT16].invokeExact(newMaxExpAvgSq, words, 16, maxExpAvgSq, n);
      }
    } catch (Throwable e) {
      throw VectorLoops.unchecked(e);
    }
  }

  /** Returns the address of n gradient elements of a block as float32. */
  long gradient(SteppedTensor t, long begin, int n) {
    return float32(t.grad(), t.types().grad(), begin, gradRoom, n);
  }

  /** Returns the address of n elements as float32: in the array itself, or converted. */
  private static long float32(MemorySegment array, ElementType type, long begin, long room, int n) {
    long from = at(array, begin, type.byteSize());
    if (type == ElementType.FLOAT32) {
      return from;
    }
    try {
      LOOPS[type == ElementType.BFLOAT16 ? DECODE_BFLOAT16 : DECODE_FLOAT16].invokeExact(
          from, room, n);
    } catch (Throwable e) {
      throw VectorLoops.unchecked(e);
    }
    return room;
  }

  /**
   * Sets the addresses for an interpolation of n elements, at most a block: anchor and grad are
   * what is interpolated between, and param is where the float32 results go.
   */
  void ofInterpolands(Interpolands a, long begin, int n) {
    anchor = float32(a.from(), a.fromType(), begin, anchorRoom, n);
    grad = float32(a.to(), a.toType(), begin, gradRoom, n);
    param = a.dstType() == ElementType.FLOAT32 ? at(a.dst(), begin, Float.BYTES) : newParam;
  }

  /** Rounds n interpolated elements to nearest, unless they are exact. */
  void roundInterpolated(Interpolands a, long begin, int n) {
    if (a.dstType() == ElementType.FLOAT32) {
      return;
    }
    boolean bfloat16 = a.dstType() == ElementType.BFLOAT16;
    try {
      LOOPS[bfloat16 ? NEAREST_BFLOAT16 : NEAREST_FLOAT16].invokeExact(
          newParam, at(a.dst(), begin, Short.BYTES), n);
    } catch (Throwable e) {
      throw VectorLoops.unchecked(e);
    }
  }
}
