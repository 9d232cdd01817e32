package io.spd4j.kernel;

import io.spd4j.ElementType;
import io.spd4j.MomentType;

/** How the arrays of a tensor are stored. */
public record Types(ElementType param, ElementType grad, ElementType anchor, MomentType moments) {
  public static final Types FLOAT32 =
      new Types(ElementType.FLOAT32, ElementType.FLOAT32, ElementType.FLOAT32, MomentType.FLOAT32);
}
