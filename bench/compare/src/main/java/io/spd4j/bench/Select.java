package io.spd4j.bench;

import io.spd4j.SpdReport;
import java.util.Locale;

/** What SPD is to find in every step. */
public enum Select {
  /** No tensor is selected. */
  NONE,
  /** Every tensor is selected and projected. */
  ALL,
  /** Whatever random gradients give: about every other tensor. */
  NATURAL;

  /** Whether SPD did so in all steps of a parameter. */
  public boolean agrees(SpdReport report) {
    return switch (this) {
      case NONE -> report.selections() == 0;
      case ALL -> report.selections() == report.checked() && report.ratio() > 0;
      case NATURAL -> true;
    };
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
