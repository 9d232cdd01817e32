package io.spd4j.finetune;

import java.util.List;

/** What a job's runs learn from. */
interface Corpus {
  /** Returns the titles of the test sets, the in-distribution set first. */
  List<String> testSets();

  /** Returns the split with a seed; the same each time. */
  Data data(long seed);

  /** Returns a text that another corpus is unlikely to have. */
  String fingerprint();
}
