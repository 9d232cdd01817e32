package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.oracle.Float64Run;

/** Checks a parameter's step against float64. */
final class StepWithin {
  private StepWithin() {}

  /** Repeats the last step in the oracle, compares, and copies the parameter to the oracle. */
  static void check(Float64Run oracle, Adam adam, Parameter p, float gradScale, String when) {
    boolean spd = oracle.isSpd();
    SpdReport report = spd ? adam.spdReport(p).orElseThrow() : null;
    oracle.step(p.gradient(), gradScale, spd && report.selected());
    if (spd) {
      assertThat(report.selected()).as("decision on %s, %s", p, when).isEqualTo(oracle.selected());
      within(oracle.condition().part(report.condition()), "condition", p, when);
    }
    within(oracle.expAvg().part(p.expAvg()), "expAvg", p, when);
    within(oracle.expAvgSq().part(p.expAvgSq()), "expAvgSq", p, when);
    if (p.maxExpAvgSq() != null) {
      within(oracle.maxExpAvgSq().part(p.maxExpAvgSq()), "maxExpAvgSq", p, when);
    }
    within(oracle.param().part(Float64Run.values(p)), "data", p, when);
    oracle.goOnFrom(p);
  }

  private static void within(double part, String what, Parameter p, String when) {
    assertThat(part).as("error of %s of %s, %s", what, p, when).isLessThanOrEqualTo(1);
  }
}
