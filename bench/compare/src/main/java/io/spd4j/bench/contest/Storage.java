package io.spd4j.bench.contest;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.spd4j.ElementType;
import io.spd4j.MomentType;
import io.spd4j.finetune.cli.State;
import java.lang.foreign.MemorySegment;

/**
 * How an array stores a tensor's floats (native/NUMERICS.md). The conversions are the bench's own,
 * so that it prepares and reads arrays without the code that it checks. They round to nearest and
 * expect finite values.
 */
public enum Storage {
  /** Float32. */
  FLOAT32 {
    @Override
    public long bytes(long numel) {
      return numel * Float.BYTES;
    }

    @Override
    public void write(MemorySegment array, long numel, long from, float[] values, int count) {
      MemorySegment.copy(values, 0, array, JAVA_FLOAT, from * Float.BYTES, count);
    }

    @Override
    public float read(MemorySegment array, long numel, long i) {
      return array.getAtIndex(JAVA_FLOAT, i);
    }
  },

  /** The nearest bfloat16; of two, the even one. */
  BFLOAT16 {
    @Override
    public long bytes(long numel) {
      return numel * Short.BYTES;
    }

    @Override
    public void write(MemorySegment array, long numel, long from, float[] values, int count) {
      for (int k = 0; k < count; k++) {
        int bits = Float.floatToRawIntBits(values[k]);
        array.setAtIndex(JAVA_SHORT, from + k, (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16));
      }
    }

    @Override
    public float read(MemorySegment array, long numel, long i) {
      return Float.intBitsToFloat(array.getAtIndex(JAVA_SHORT, i) << 16);
    }
  },

  /** All high halves and then, from {@link #low} on, all low halves. */
  SPLIT {
    @Override
    public long bytes(long numel) {
      return low(numel) + numel * Short.BYTES;
    }

    @Override
    public void write(MemorySegment array, long numel, long from, float[] values, int count) {
      MemorySegment low = array.asSlice(low(numel));
      for (int k = 0; k < count; k++) {
        int bits = Float.floatToRawIntBits(values[k]);
        array.setAtIndex(JAVA_SHORT, from + k, (short) (bits + 0x8000 >>> 16));
        low.setAtIndex(JAVA_SHORT, from + k, (short) bits);
      }
    }

    @Override
    public float read(MemorySegment array, long numel, long i) {
      int high = array.getAtIndex(JAVA_SHORT, i) << 16;
      return Float.intBitsToFloat(high + array.get(JAVA_SHORT, low(numel) + i * Short.BYTES));
    }
  },

  /** A first moment in 8 bits: codes, and a scale for each 64 of them. */
  FIRST_8BIT {
    @Override
    public long bytes(long numel) {
      return MomentType.BLOCKWISE_8BIT.byteSize(numel);
    }

    @Override
    public void write(MemorySegment array, long numel, long from, float[] values, int count) {
      for (int k = 0; k < count; k += GROUP) {
        int end = Math.min(k + GROUP, count);
        float scale = Math.max(largest(values, k, end) / 127, 0x1p-100f);
        array.set(JAVA_FLOAT, scaleOf(numel, from + k), scale);
        for (int i = k; i < end; i++) {
          array.set(JAVA_BYTE, from + i, (byte) Math.round(values[i] / scale));
        }
      }
    }

    @Override
    public float read(MemorySegment array, long numel, long i) {
      return array.get(JAVA_BYTE, i) * array.get(JAVA_FLOAT, scaleOf(numel, i));
    }
  },

  /** A second moment in 8 bits: 16 codes for each factor of 2 below the largest of 64. */
  SECOND_8BIT {
    @Override
    public long bytes(long numel) {
      return MomentType.BLOCKWISE_8BIT.byteSize(numel);
    }

    @Override
    public void write(MemorySegment array, long numel, long from, float[] values, int count) {
      for (int k = 0; k < count; k += GROUP) {
        int end = Math.min(k + GROUP, count);
        float scale = largest(values, k, end);
        array.set(JAVA_FLOAT, scaleOf(numel, from + k), scale);
        for (int i = k; i < end; i++) {
          int below = Float.floatToRawIntBits(scale) - Float.floatToRawIntBits(values[i]);
          array.set(JAVA_BYTE, from + i, (byte) Math.min(below + (1 << 18) >> 19, 255));
        }
      }
    }

    @Override
    public float read(MemorySegment array, long numel, long i) {
      int scale = Float.floatToRawIntBits(array.get(JAVA_FLOAT, scaleOf(numel, i)));
      return Float.intBitsToFloat(scale - (Byte.toUnsignedInt(array.get(JAVA_BYTE, i)) << 19));
    }
  };

  /** Elements that share a scale. */
  private static final int GROUP = 64;

  /** Returns how a state stores the arrays of a kind. */
  public static Storage of(State state, ArrayKind kind) {
    return switch (kind) {
      case DATA -> state.split() ? SPLIT : of(state.parameter());
      case GRADIENT -> of(state.gradient());
      case ANCHOR -> of(state.anchor());
      case EXP_AVG -> of(state.moments(), FIRST_8BIT);
      case EXP_AVG_SQ -> of(state.moments(), SECOND_8BIT);
    };
  }

  private static Storage of(ElementType type) {
    return switch (type) {
      case FLOAT32 -> FLOAT32;
      case BFLOAT16 -> BFLOAT16;
      default -> throw new IllegalArgumentException("no state has " + type);
    };
  }

  private static Storage of(MomentType type, Storage in8bits) {
    return switch (type) {
      case FLOAT32 -> FLOAT32;
      case BFLOAT16 -> BFLOAT16;
      case BLOCKWISE_8BIT -> in8bits;
    };
  }

  /** Returns the size in bytes of a tensor's array. */
  public abstract long bytes(long numel);

  /**
   * Stores some floats of a tensor.
   *
   * @param numel number of elements of the tensor
   * @param from the index of the first one, a multiple of 64
   * @param count of the values; a multiple of 64 unless they are the tensor's last
   */
  public abstract void write(MemorySegment array, long numel, long from, float[] values, int count);

  /** Returns element i of a tensor of numel elements. */
  public abstract float read(MemorySegment array, long numel, long i);

  /** Returns the floats from an index on. */
  public float[] read(MemorySegment array, long numel, long from, int count) {
    float[] values = new float[count];
    for (int k = 0; k < count; k++) {
      values[k] = read(array, numel, from + k);
    }
    return values;
  }

  private static float largest(float[] values, int begin, int end) {
    float largest = 0;
    for (int i = begin; i < end; i++) {
      largest = Math.max(largest, Math.abs(values[i]));
    }
    return largest;
  }

  /** Returns the offset of the scale of element i: the scales follow the codes of all elements. */
  private static long scaleOf(long numel, long i) {
    return (Math.ceilDiv(numel, Float.BYTES) + i / GROUP) * Float.BYTES;
  }

  /** Returns the offset of the low halves, which begin on a cache line of their own. */
  public static long low(long numel) {
    return Math.ceilDiv(numel * Short.BYTES, ArrayMemory.ALIGNMENT) * ArrayMemory.ALIGNMENT;
  }
}
