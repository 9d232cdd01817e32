package io.spd4j.finetune;

import io.spd4j.finetune.cli.Rule;

/** What distinguishes the runs of a job. */
record RunSpec(Rule rule, double lambda, long seed) {
  /** For the progress bar and the log. */
  String title() {
    return "%s, λ = %s, seed %d".formatted(rule.title(), Rule.number(lambda), seed);
  }

  /** For file names. */
  String fileName() {
    return "%s-%s-seed%d".formatted(rule, Rule.number(lambda), seed);
  }
}
