package io.spd4j.oracle;

import io.spd4j.ElementType;
import io.spd4j.MomentType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * How the numbers of an array are stored: which number a stored element is, and how it is rounded.
 */
interface Storage {
  /** A random word that is not known: any will do. */
  long UNKNOWN = -1;

  /** Returns an element exactly. */
  double get(MemorySegment array, int index);

  /** Returns a bound of what is stored of a number that a run computed in float32. */
  Bounded rounded(Bounded x, long random);

  /** Returns the largest {@link Bounded#part} of what a run stored of these numbers. */
  double part(BoundedArray numbers, MemorySegment stored);

  /** Returns how parameters (not those in two halves), gradients and anchors are stored. */
  static Storage of(ElementType type) {
    return switch (type) {
      case FLOAT32 -> new Float32();
      case BFLOAT16 -> Sixteen.bfloat16(0);
      case FLOAT16 -> Sixteen.float16();
      default -> throw new IllegalArgumentException("no step takes " + type);
    };
  }

  /**
   * Returns how a moment is stored.
   *
   * @param length how many there are
   * @param second whether it is v or AMSGrad's maximum, and not m
   */
  static Storage of(MomentType type, int length, boolean second) {
    return switch (type) {
      case FLOAT32 -> new Float32();
      case BFLOAT16 -> Sixteen.bfloat16(second ? 16 : 0);
      case BLOCKWISE_8BIT -> second ? new Blockwise.Second(length) : new Blockwise.First(length);
    };
  }

  /** As computed. */
  record Float32() implements Storage {
    @Override
    public double get(MemorySegment array, int index) {
      return array.getAtIndex(ValueLayout.JAVA_FLOAT, index);
    }

    @Override
    public Bounded rounded(Bounded x, long random) {
      return x;
    }

    @Override
    public double part(BoundedArray numbers, MemorySegment stored) {
      double worst = 0;
      for (int i = 0; i < numbers.length(); i++) {
        worst = Math.max(worst, numbers.get(i).part(get(stored, i)));
      }
      return worst;
    }
  }
}
