package io.spd4j.kernel;

import static io.spd4j.kernel.Codec.GROUP;
import static io.spd4j.kernel.VectorMemory.HALF;
import static io.spd4j.kernel.VectorMemory.I;
import static io.spd4j.kernel.VectorMemory.MEMORY;
import static io.spd4j.kernel.VectorMemory.ORDER;
import static io.spd4j.kernel.VectorMemory.S;
import static io.spd4j.kernel.VectorMemory.WIDTH;
import static io.spd4j.kernel.VectorMemory.load;
import static io.spd4j.kernel.VectorMemory.store;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.nio.ByteOrder.LITTLE_ENDIAN;
import static jdk.incubator.vector.VectorOperators.ABS;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.B2I;
import static jdk.incubator.vector.VectorOperators.GE;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.I2B;
import static jdk.incubator.vector.VectorOperators.I2F;
import static jdk.incubator.vector.VectorOperators.I2S;
import static jdk.incubator.vector.VectorOperators.LSHL;
import static jdk.incubator.vector.VectorOperators.LSHR;
import static jdk.incubator.vector.VectorOperators.LT;
import static jdk.incubator.vector.VectorOperators.MAX;
import static jdk.incubator.vector.VectorOperators.OR;
import static jdk.incubator.vector.VectorOperators.S2I;
import static jdk.incubator.vector.VectorOperators.XOR;

import java.lang.foreign.ValueLayout;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * {@link Codec} and {@link RandomWords} in vectors: loops over n elements, a multiple of {@link
 * BlockTable#LANES}, at addresses. The methods are small, because the JIT inlines no others. {@link
 * VectorArrays} picks one by type.
 */
final class VectorCodec {
  private static final IntVector INDEX = IntVector.zero(I).addIndex(1);

  /** A quarter of a vector; null if that is 4 bytes, for which there is no species. */
  private static final VectorSpecies<Byte> B =
      S.vectorBitSize() == 128
          ? null
          : VectorSpecies.of(byte.class, VectorShape.forBitSize(S.vectorBitSize() / 4));

  private static final ValueLayout.OfInt FOUR_BYTES = JAVA_INT.withOrder(LITTLE_ENDIAN);

  /** For the bytes of an int in four lanes: shifts that move them to the lanes' tops, and back. */
  private static final IntVector UP = INDEX.mul(-8).add(24);

  private static final IntVector DOWN = INDEX.mul(8);
  private static final int GROUP_SHIFT = Integer.numberOfTrailingZeros(GROUP);
  private static final int ABSOLUTE = 0x7fffffff;
  private static final int INFINITY = 0x7f800000;

  private VectorCodec() {}

  /** Writes the random words of a block's elements. */
  static void words(long block, long to, int n) {
    final int k1 = (int) block;
    final int k2 = (int) (block >>> 32);
    for (int i = 0; i < n; i += WIDTH) {
      IntVector x = INDEX.add(i).lanewise(XOR, k1);
      x = x.lanewise(XOR, x.lanewise(LSHR, 16)).mul(0x7feb352d);
      x = x.lanewise(XOR, x.lanewise(LSHR, 15)).add(k2).mul(0x846ca68b);
      storeInts(x.lanewise(XOR, x.lanewise(LSHR, 16)), to + 4L * i);
    }
  }

  /** Converts n bfloat16 elements to float32. */
  static void decodeBfloat16(long from, long to, int n) {
    for (int i = 0; i < n; i += WIDTH) {
      store(bfloat16(from + 2L * i), to + 4L * i);
    }
  }

  /** Converts n float16 elements to float32. */
  static void decodeFloat16(long from, long to, int n) {
    for (int i = 0; i < n; i += WIDTH) {
      final IntVector bits = shorts(from + 2L * i).lanewise(LSHL, 13).and(0x8fffe000);
      final FloatVector finite = bits.reinterpretAsFloats().mul(0x1p112f);
      final IntVector infinite = finite.reinterpretAsInts().or(INFINITY);
      final VectorMask<Float> large = finite.lanewise(ABS).compare(GE, 0x1p16f);
      store(finite.blend(infinite.reinterpretAsFloats(), large), to + 4L * i);
    }
  }

  static FloatVector bfloat16(long address) {
    return shorts(address).lanewise(LSHL, 16).reinterpretAsFloats();
  }

  static FloatVector split(long high, long low) {
    return shorts(high).lanewise(LSHL, 16).add(shorts(low)).reinterpretAsFloats();
  }

  static void storeSplit(FloatVector x, long high, long low) {
    final IntVector bits = x.reinterpretAsInts();
    storeShorts(bits.add(0x8000).lanewise(LSHR, 16), high);
    storeShorts(bits, low);
  }

  /** Returns 8-bit first moments from element i on. */
  static FloatVector first(long codes, long scales, int i) {
    final FloatVector code = (FloatVector) bytes(codes + i).convert(I2F, 0);
    return code.mul(MEMORY.get(JAVA_FLOAT, scales + (i >>> GROUP_SHIFT) * 4L));
  }

  /** Returns 8-bit second moments from element i on. */
  static FloatVector second(long codes, long scales, int i) {
    final int scale = MEMORY.get(JAVA_INT, scales + (i >>> GROUP_SHIFT) * 4L);
    final IntVector below = bytes(codes + i).and(0xff).lanewise(LSHL, 19);
    return IntVector.broadcast(I, scale).sub(below).reinterpretAsFloats();
  }

  static void encodeBfloat16(long from, long words, int shift, long to, int n) {
    for (int i = 0; i < n; i += WIDTH) {
      final IntVector bits = load(from + 4L * i).reinterpretAsInts();
      final IntVector random = ints(words + 4L * i).lanewise(LSHR, shift).and(0xffff);
      final IntVector rounded = bits.add(random).lanewise(LSHR, 16);
      storeShorts(rounded.blend(0x7fc0, bits.and(ABSOLUTE).compare(GT, INFINITY)), to + 2L * i);
    }
  }

  static void encodeFloat16(long from, long words, int shift, long to, int n) {
    for (int i = 0; i < n; i += WIDTH) {
      final IntVector bits = load(from + 4L * i).reinterpretAsInts();
      final IntVector random = ints(words + 4L * i).lanewise(LSHR, shift).and(0x1fff);
      final IntVector magnitude = bits.and(ABSOLUTE);
      final IntVector normal = magnitude.add(random).sub(112 << 23);
      final IntVector small = units(magnitude).add(random);
      final IntVector rounded =
          normal.blend(small, magnitude.compare(LT, 0x38800000)).lanewise(LSHR, 13).min(0x7c00);
      final IntVector signed = rounded.or(bits.lanewise(LSHR, 16).and(0x8000));
      storeShorts(signed.blend(0x7e00, magnitude.compare(GT, INFINITY)), to + 2L * i);
    }
  }

  /** Returns absolute values below 2^-14 in units of 2^-37. */
  private static IntVector units(IntVector magnitude) {
    final FloatVector x = magnitude.reinterpretAsFloats();
    return x.mul(0x1p37f).add(0x1p23f).reinterpretAsInts().sub(0x4b000000);
  }

  static void nearestBfloat16(long from, long to, int n) {
    for (int i = 0; i < n; i += WIDTH) {
      final IntVector bits = load(from + 4L * i).reinterpretAsInts();
      final IntVector odd = bits.lanewise(LSHR, 16).and(1);
      final IntVector rounded = bits.add(odd).add(0x7fff).lanewise(LSHR, 16);
      storeShorts(rounded.blend(0x7fc0, bits.and(ABSOLUTE).compare(GT, INFINITY)), to + 2L * i);
    }
  }

  static void nearestFloat16(long from, long to, int n) {
    for (int i = 0; i < n; i += WIDTH) {
      final IntVector bits = load(from + 4L * i).reinterpretAsInts();
      final IntVector magnitude = bits.and(ABSOLUTE);
      final IntVector small = magnitude.min(0x38800000);
      final IntVector rest = magnitude.sub(small);
      final IntVector odd = rest.lanewise(LSHR, 13).and(1);
      final IntVector rounded =
          steps(small).add(rest.add(odd).add(0xfff).lanewise(LSHR, 13)).min(0x7c00);
      final IntVector signed = rounded.or(bits.lanewise(LSHR, 16).and(0x8000));
      storeShorts(signed.blend(0x7e00, magnitude.compare(GT, INFINITY)), to + 2L * i);
    }
  }

  /** Returns absolute values of at most 2^-14 in units of 2^-24, rounded to nearest. */
  private static IntVector steps(IntVector magnitude) {
    return magnitude.reinterpretAsFloats().add(0.5f).reinterpretAsInts().sub(0x3f000000);
  }

  static void encodeFirst(long from, long codes, long scales, int n) {
    for (int i = 0; i < n; i += GROUP) {
      final long group = from + 4L * i;
      final int largest = largest(group);
      final float scale = Codec.firstScale(largest);
      final float inverse = 1 / scale;
      MEMORY.set(JAVA_FLOAT, scales + i / GROUP * 4L, scale);
      for (int j = 0; j < GROUP; j += WIDTH) {
        final FloatVector whole = load(group + 4L * j).mul(inverse).add(0x1.8p23f);
        storeBytes(whole.reinterpretAsInts(), codes + i + j);
      }
      if (largest >= INFINITY) {
        clear(codes + i);
      }
    }
  }

  static void encodeSecond(long from, long block, long codes, long scales, int n) {
    for (int i = 0; i < n; i += GROUP) {
      final long group = from + 4L * i;
      final int largest = largest(group);
      final int scale = Codec.secondScale(largest);
      MEMORY.set(JAVA_FLOAT, scales + i / GROUP * 4L, Float.intBitsToFloat(scale));
      final IntVector rounded = IntVector.broadcast(I, scale + (RandomWords.word(block, i) >>> 13));
      for (int j = 0; j < GROUP; j += WIDTH) {
        final IntVector bits = load(group + 4L * j).reinterpretAsInts();
        storeBytes(rounded.sub(bits).lanewise(LSHR, 19).min(255), codes + i + j);
      }
      if (largest >= INFINITY) {
        clear(codes + i);
      }
    }
  }

  /** Sets the codes of a group that is NaN to 0. */
  private static void clear(long codes) {
    MEMORY.asSlice(codes, GROUP).fill((byte) 0);
  }

  /** Returns the largest bits without sign of a group. */
  private static int largest(long group) {
    IntVector largest = IntVector.zero(I);
    for (int j = 0; j < GROUP; j += WIDTH) {
      largest = largest.max(load(group + 4L * j).reinterpretAsInts().and(ABSOLUTE));
    }
    return largest.reduceLanes(MAX);
  }

  private static IntVector ints(long address) {
    return IntVector.fromMemorySegment(I, MEMORY, address, ORDER);
  }

  private static void storeInts(IntVector vector, long address) {
    vector.intoMemorySegment(MEMORY, address, ORDER);
  }

  private static IntVector shorts(long address) {
    return (IntVector)
        ShortVector.fromMemorySegment(HALF, MEMORY, address, ORDER).convertShape(S2I, I, 0);
  }

  /** Stores the low halves of a vector's elements. */
  private static void storeShorts(IntVector vector, long address) {
    vector.convertShape(I2S, HALF, 0).intoMemorySegment(MEMORY, address, ORDER);
  }

  private static IntVector bytes(long address) {
    if (B == null) {
      final IntVector all = IntVector.broadcast(I, MEMORY.get(FOUR_BYTES, address));
      return all.lanewise(LSHL, UP).lanewise(ASHR, 24);
    }
    return (IntVector)
        ByteVector.fromMemorySegment(B, MEMORY, address, ORDER).convertShape(B2I, I, 0);
  }

  /** Stores the low bytes of a vector's elements. */
  private static void storeBytes(IntVector vector, long address) {
    if (B == null) {
      final IntVector bytes = vector.and(0xff).lanewise(LSHL, DOWN);
      MEMORY.set(FOUR_BYTES, address, bytes.reduceLanes(OR));
    } else {
      vector.convertShape(I2B, B, 0).intoMemorySegment(MEMORY, address, ORDER);
    }
  }
}
