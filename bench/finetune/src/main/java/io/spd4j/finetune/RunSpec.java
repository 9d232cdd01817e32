package io.spd4j.finetune;

import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.report.Setup;

/**
 * What distinguishes a job's runs.
 *
 * @param lr the learning rate of the backbone
 */
record RunSpec(
    Method method, double lambda, double lr, State state, Variation variation, long seed) {
  /** Returns the same run with another seed. */
  RunSpec withSeed(long other) {
    return new RunSpec(method, lambda, lr, state, variation, other);
  }

  /** Returns what the report says of the run. */
  Setup setup() {
    return new Setup(method.title(), lambda, lr, state.toString(), variation.title());
  }

  /** Returns a title for the progress bar and the log. */
  String title() {
    String title = setup().label() + ", seed " + seed;
    title = state.equals(State.FLOAT32) ? title : title + ", " + state;
    return variation.equals(Variation.PLAIN) ? title : title + ", " + variation.title();
  }

  /**
   * Returns the run's part of file names.
   *
   * @param showLr whether runs of the job differ in the learning rate
   */
  String fileName(boolean showLr) {
    String name = "%s-%s".formatted(method, Rule.number(lambda));
    name = showLr ? name + "-lr" + lr : name;
    name = name + "-seed" + seed;
    name = state.equals(State.FLOAT32) ? name : name + "-" + state;
    return variation.equals(Variation.PLAIN) ? name : name + "-" + variation;
  }
}
