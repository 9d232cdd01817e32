package io.spd4j.finetune.report;

import java.time.Instant;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A fine-tuning job: what ran, where, and the results.
 *
 * @param title one line that says what was trained on which data
 * @param settings by name, in display order; values are numbers, booleans or anything with a
 *     readable toString
 * @param machine where it ran
 * @param finished when it ended
 * @param testSets their titles in display order, the in-distribution set first
 * @param runs runs of any setups and seeds, in display order
 * @param trials runs that were only validated, to choose λ and the learning rate of the others;
 *     empty if these were given
 */
public record FinetuneReport(
    String title,
    Map<String, Object> settings,
    Machine machine,
    Instant finished,
    List<String> testSets,
    List<Run> runs,
    List<Run> trials) {
  /**
   * Copies the collections.
   *
   * @throws IllegalArgumentException if there is no test set, or a run has a score of an unknown
   *     one
   */
  public FinetuneReport {
    settings = Collections.unmodifiableMap(new LinkedHashMap<>(settings));
    testSets = List.copyOf(testSets);
    runs = List.copyOf(runs);
    trials = List.copyOf(trials);
    if (testSets.isEmpty()) {
      throw new IllegalArgumentException("there is no test set");
    }
    for (Run run : runs) {
      for (String scored : run.scores().keySet()) {
        if (!testSets.contains(scored)) {
          throw new IllegalArgumentException(
              "a run has a score of '%s', which is not one of %s".formatted(scored, testSets));
        }
      }
    }
  }

  /** Returns the states of the runs. */
  List<String> states() {
    return runs.stream().map(run -> run.setup().state()).distinct().toList();
  }

  /** Returns the kinds of data of the runs. */
  List<String> data() {
    return runs.stream().map(run -> run.setup().data()).distinct().toList();
  }

  /** Returns a report of the runs with the first state and the first data. */
  FinetuneReport ofFirst() {
    List<Run> first =
        runs.stream()
            .filter(run -> run.setup().state().equals(states().getFirst()))
            .filter(run -> run.setup().data().equals(data().getFirst()))
            .toList();
    return new FinetuneReport(title, settings, machine, finished, testSets, first, trials);
  }

  /** Returns the results and the differences to AdamW as tables in Markdown, with notes below. */
  public String markdown() {
    String differences = new PairedTables(this).markdown();
    return new ResultTable(this).markdown() + (differences.isEmpty() ? "" : "\n" + differences);
  }

  /** Returns a report with no more than a summary of each run's steps. */
  public FinetuneReport withoutHistory() {
    return new FinetuneReport(
        title,
        settings,
        machine,
        finished,
        testSets,
        runs.stream().map(Run::withoutHistory).toList(),
        trials.stream().map(Run::withoutHistory).toList());
  }
}
