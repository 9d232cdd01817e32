package io.spd4j.finetune;

import io.spd4j.finetune.cli.Failure;
import java.util.List;

/** What a job's runs learn from. */
interface Corpus {
  /** Returns the titles of the test sets, the in-distribution set first. */
  List<String> testSets();

  /**
   * Returns the split with a seed; the same each time.
   *
   * @param validation the share of the training examples that is held back for validation, 0 to
   *     below 1
   * @throws Failure if there are too few examples for it
   */
  Data data(long seed, double validation, Variation variation) throws Failure;

  /** Returns a text that another corpus is unlikely to have. */
  String fingerprint();
}
