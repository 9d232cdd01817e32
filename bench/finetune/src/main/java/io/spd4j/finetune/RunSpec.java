package io.spd4j.finetune;

import io.spd4j.finetune.cli.Rule;
import java.math.BigDecimal;

/** What distinguishes the runs of a job. */
record RunSpec(Rule rule, double lambda, long seed) {
  /** For the progress bar and the log. */
  String title() {
    return "%s, λ = %s, seed %d".formatted(rule.title(), number(), seed);
  }

  /** For file names. */
  String fileName() {
    return "%s-%s-seed%d".formatted(rule, number(), seed);
  }

  /** Without a fraction that says nothing, as the report has it. */
  private String number() {
    return BigDecimal.valueOf(lambda).stripTrailingZeros().toPlainString();
  }
}
