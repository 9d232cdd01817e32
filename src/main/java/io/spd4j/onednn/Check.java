package io.spd4j.onednn;

import io.spd4j.ElementType;

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

  /** Checks the sizes of a row-major matrix; returns its layout. */
  static Layout matrix(String rowsName, long rows, String columnsName, long columns) {
    size(rowsName, rows);
    size(columnsName, columns);
    if (rows > Layout.MAX_NUMEL / columns) {
      throw new IllegalArgumentException(
          "%s times %s must be at most %d, not %d times %d"
              .formatted(rowsName, columnsName, Layout.MAX_NUMEL, rows, columns));
    }
    return Layout.rowMajor(rows, columns);
  }

  /** Checks the type of what a product multiplies. */
  static ElementType operands(ElementType type) {
    if (notNull("operands", type) != ElementType.FLOAT32 && type != ElementType.BFLOAT16) {
      throw new IllegalArgumentException("operands must be FLOAT32 or BFLOAT16, not " + type);
    }
    return type;
  }

  /** Returns what the name of a product says about the type of its operands. */
  static String suffix(ElementType operands) {
    return operands == ElementType.FLOAT32 ? "" : " of " + operands;
  }

  static <T> T notNull(String name, T value) {
    if (value == null) {
      throw new NullPointerException(name + " is null");
    }
    return value;
  }
}
