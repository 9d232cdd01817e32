package io.spd4j.bench.contest;

/** The arrays of a parameter. {@link Values} hashes a constant's ordinal. */
public enum ArrayKind {
  DATA(1e-2f),
  GRADIENT(1e-3f),
  ANCHOR(3e-2f),
  EXP_AVG(1e-2f),
  EXP_AVG_SQ(0);

  /**
   * Random values have magnitudes of 1 to 2 times this. For data, this scales the deviation from
   * the anchor.
   */
  final float scale;

  ArrayKind(float scale) {
    this.scale = scale;
  }
}
