package io.spd4j.onednn;

/** Checks of the arguments that an operation is made with. */
final class Check {
  private Check() {}

  /** Checks a dimension: with a larger one oneDNN divides by zero and crashes the process. */
  static long size(String name, long value) {
    if (value < 1 || value > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          name + " must be 1 to " + Integer.MAX_VALUE + ", not " + value);
    }
    return value;
  }

  static <T> T notNull(String name, T value) {
    if (value == null) {
      throw new NullPointerException(name + " is null");
    }
    return value;
  }
}
