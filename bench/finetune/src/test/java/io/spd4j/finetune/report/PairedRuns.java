package io.spd4j.finetune.report;

import java.time.Instant;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Runs with given results, on the test sets "id" and "hard". */
final class PairedRuns {
  static final List<String> TEST_SETS = List.of("id", "hard");

  private PairedRuns() {}

  static FinetuneReport report(Run... runs) {
    return new FinetuneReport(
        "title",
        Map.of(),
        new Machine("cpu", 1, "jdk", "os"),
        Instant.EPOCH,
        TEST_SETS,
        List.of(runs),
        List.of());
  }

  static Setup setup(String rule, double lambda, String state) {
    return new Setup(rule, lambda, 5e-5, state, "");
  }

  /**
   * A complete run whose losses are not finite.
   *
   * @param id correct of 100; negative for no score
   * @param hard correct of 50; negative for no score
   */
  static Run run(String rule, double lambda, long seed, int id, int hard, double deviation) {
    return run(setup(rule, lambda, "float32"), seed, true, id, hard, deviation);
  }

  static Run run(Setup setup, long seed, boolean complete, int id, int hard, double deviation) {
    Map<String, Score> scores = new HashMap<>();
    if (id >= 0) {
      scores.put("id", new Score(id, 100, Double.NaN));
    }
    if (hard >= 0) {
      scores.put("hard", new Score(hard, 50, Double.NaN));
    }
    History history = new History(List.of(), List.of());
    history.add(new History.Step(0.5, 1, 1e-5, 100, 3, 60, 4, new BitSet()));
    return new Run(setup, seed, 1, complete, scores, deviation, history, null, null, List.of());
  }
}
