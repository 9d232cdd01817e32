package io.spd4j.bench.contest;

/** The arrays of a parameter, numbered as the generator of {@link Values} knows them. */
public enum ArrayKind {
  DATA(1e-2f),
  GRADIENT(1e-3f),
  ANCHOR(3e-2f),
  EXP_AVG(1e-2f),
  EXP_AVG_SQ(0);

  /**
   * Random values have magnitudes of 1 to 2 times this; data, that of what is added to the anchor.
   */
  final float scale;

  ArrayKind(float scale) {
    this.scale = scale;
  }
}
