package io.spd4j.bench;

import io.spd4j.SpdReport;
import java.util.Locale;

/** Which tensors SPD selects in every step. */
public enum Select {
  /** No tensor is selected. */
  NONE,
  /** Every tensor is selected and projected. */
  ALL,
  /** As random gradients decide: about half of the tensors. */
  NATURAL;

  /** Returns whether SPD selected a parameter in this way in all of its steps. */
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
