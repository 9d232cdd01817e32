package io.spd4j.oracle;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.function.IntToLongFunction;

/** An array of {@link Bounded} numbers before they are rounded to what is stored. */
public final class BoundedArray {
  private final double[] values;
  private final double[] errors;
  private final Storage storage;
  private final IntToLongFunction words;

  /**
   * Makes an array of zeros.
   *
   * @param storage how a run stores them
   * @param words the random words that round them, or {@link Storage#UNKNOWN}
   */
  BoundedArray(int length, Storage storage, IntToLongFunction words) {
    values = new double[length];
    errors = new double[length];
    this.storage = storage;
    this.words = words;
  }

  int length() {
    return values.length;
  }

  public Bounded get(int index) {
    return new Bounded(values[index], errors[index]);
  }

  void set(int index, Bounded x) {
    values[index] = x.value();
    errors[index] = x.error();
  }

  /** Sets the numbers to those that a run has in memory. */
  void read(MemorySegment stored, Computation computation) {
    for (int i = 0; i < values.length; i++) {
      set(i, computation.stored(storage.get(stored, i)));
    }
  }

  /** Returns the random word that rounds a number. */
  long word(int index) {
    return words.applyAsLong(index);
  }

  /**
   * Returns the largest {@link Bounded#part} of what a run stored of this array. Of what is rounded
   * stochastically that is 0 or infinity: the random word says which neighbour is right.
   */
  public double part(MemorySegment computed) {
    return storage.part(this, computed);
  }

  /** Returns how many numbers have no bound. */
  public long unbounded() {
    return Arrays.stream(errors).filter(e -> !Double.isFinite(e)).count();
  }
}
