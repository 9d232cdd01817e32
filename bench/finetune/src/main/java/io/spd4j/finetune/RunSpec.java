package io.spd4j.finetune;

import io.spd4j.finetune.cli.Rule;

/** The rule, λ and seed that distinguish a job's runs. */
record RunSpec(Rule rule, double lambda, long seed) {
  /** Returns a title for the progress bar and the log. */
  String title() {
    return "%s, λ = %s, seed %d".formatted(rule.title(), Rule.number(lambda), seed);
  }

  /** Returns the run's part of file names. */
  String fileName() {
    return "%s-%s-seed%d".formatted(rule, Rule.number(lambda), seed);
  }
}
