package io.spd4j.finetune;

import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;

/** What distinguishes a job's runs. */
record RunSpec(Rule rule, double lambda, State state, long seed) {
  /** Returns a title for the progress bar and the log. */
  String title() {
    String title = "%s, λ = %s, seed %d".formatted(rule.title(), Rule.number(lambda), seed);
    return state.equals(State.FLOAT32) ? title : title + ", " + state;
  }

  /** Returns the run's part of file names. */
  String fileName() {
    String name = "%s-%s-seed%d".formatted(rule, Rule.number(lambda), seed);
    return state.equals(State.FLOAT32) ? name : name + "-" + state;
  }
}
