package io.spd4j.onednn;

/** Arguments that an operation is made with. */
final class Check {
  private Check() {}

  /** Of a dimension: with larger ones oneDNN divides by zero and ends the process. */
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
