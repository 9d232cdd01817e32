package io.spd4j.bench.compare;

import java.util.Locale;

/** Formats numbers for people. */
final class Units {
  /** The content of a cell without a number. */
  static final String NONE = "–";

  private Units() {}

  /** Formats a number with three digits: 0.17, 56.2, 847. */
  static String digits(double value) {
    if (!Double.isFinite(value)) {
      return NONE;
    }
    int decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    return String.format(Locale.ROOT, "%." + decimals + "f", value);
  }

  /** Formats a time: 350 ns, 35.2 µs, 3.52 ms. */
  static String time(double nanos) {
    if (!Double.isFinite(nanos)) {
      return NONE;
    }
    return nanos < 999.5
        ? digits(nanos) + " ns"
        : nanos < 999.5e3 ? digits(nanos / 1e3) + " µs" : digits(nanos / 1e6) + " ms";
  }

  /** Formats the median and, in the same unit, the middle half around it. */
  static String time(Spread nanos) {
    double unit = nanos.median() < 999.5 ? 1 : nanos.median() < 999.5e3 ? 1e3 : 1e6;
    return time(nanos.median())
        + " ("
        + digits(nanos.q1() / unit)
        + "–"
        + digits(nanos.q3() / unit)
        + ")";
  }

  static String percent(double part) {
    return Double.isFinite(part) ? Math.round(100 * part) + "%" : NONE;
  }

  /** Formats bytes: 0 B, 1.40 KB, 1.75 GB. */
  static String bytes(Double bytes) {
    if (bytes == null) {
      return NONE;
    }
    return bytes < 999.5
        ? Math.round(bytes) + " B"
        : bytes < 999.5e3
            ? digits(bytes / 1e3) + " KB"
            : bytes < 999.5e6 ? digits(bytes / 1e6) + " MB" : digits(bytes / 1e9) + " GB";
  }

  /** Formats a count: 640,000 or 86.6 million. */
  static String count(long number) {
    return number < 1_000_000
        ? String.format(Locale.ROOT, "%,d", number)
        : digits(number / 1e6) + " million";
  }
}
