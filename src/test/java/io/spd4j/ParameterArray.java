package io.spd4j;

import java.lang.foreign.MemorySegment;

/** The arrays of a parameter, with their names in messages. */
enum ParameterArray {
  DATA("data", true),
  GRADIENT("gradient", false),
  ANCHOR("anchor", false),
  EXP_AVG("expAvg", true),
  EXP_AVG_SQ("expAvgSq", true),
  MAX_EXP_AVG_SQ("maxExpAvgSq", true);

  private final String text;

  /** Whether steps write this array. */
  final boolean written;

  ParameterArray(String text, boolean written) {
    this.text = text;
    this.written = written;
  }

  /** Returns this array of a parameter; null if the parameter has none. */
  MemorySegment of(Parameter p) {
    return switch (this) {
      case DATA -> p.data();
      case GRADIENT -> p.gradient();
      case ANCHOR -> p.anchor();
      case EXP_AVG -> p.expAvg();
      case EXP_AVG_SQ -> p.expAvgSq();
      case MAX_EXP_AVG_SQ -> p.maxExpAvgSq();
    };
  }

  /** Returns a parameter with six arrays, which are given in the order of these constants. */
  static Parameter parameter(String name, MemorySegment... a) {
    return Parameter.builder(name, a[0])
        .gradient(a[1])
        .anchor(a[2])
        .moments(a[3], a[4])
        .maxExpAvgSq(a[5])
        .build();
  }

  @Override
  public String toString() {
    return text;
  }
}
