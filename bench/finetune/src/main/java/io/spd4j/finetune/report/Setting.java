package io.spd4j.finetune.report;

import io.spd4j.finetune.cli.Rule;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** A rule with its λ and state, and its runs, which differ in the seed. */
record Setting(String rule, double lambda, String state, List<Run> runs) {
  private record Key(String rule, double lambda, String state) {
    Key(Run run) {
      this(run.rule(), run.lambda(), run.state());
    }
  }

  /** Returns the settings of all runs, in order of first appearance. */
  static List<Setting> of(FinetuneReport report) {
    Map<Key, List<Run>> bySetting = new LinkedHashMap<>();
    for (Run run : report.runs()) {
      bySetting.computeIfAbsent(new Key(run), key -> new ArrayList<>()).add(run);
    }
    return bySetting.entrySet().stream()
        .map(e -> new Setting(e.getKey().rule, e.getKey().lambda, e.getKey().state, e.getValue()))
        .toList();
  }

  /**
   * Returns each rule's setting with the highest in-distribution accuracy, or its first setting.
   */
  static List<Setting> bestOfEachRule(FinetuneReport report) {
    String testSet = report.testSets().getFirst();
    Map<String, Setting> best = new LinkedHashMap<>();
    for (Setting s : of(report)) {
      best.merge(s.rule(), s, (a, b) -> b.rank(testSet) > a.rank(testSet) ? b : a);
    }
    return List.copyOf(best.values());
  }

  private double rank(String testSet) {
    double[] accuracies = accuracies(testSet);
    return accuracies.length == 0 ? -1 : Statistics.mean(accuracies);
  }

  String label() {
    return label(rule, lambda);
  }

  /** Returns the label for a picture. */
  String shownLabel() {
    return complete().isEmpty() ? label() + " (interrupted)" : label();
  }

  static String label(String rule, double lambda) {
    return rule + ", λ = " + Rule.number(lambda);
  }

  /** Returns the runs that results are taken from. */
  List<Run> complete() {
    return runs.stream().filter(Run::complete).toList();
  }

  /** Returns the runs whose history is shown: interrupted ones only if none is complete. */
  List<Run> shown() {
    return complete().isEmpty() ? runs : complete();
  }

  /** Returns the accuracies of the complete runs that have a score of the test set. */
  double[] accuracies(String testSet) {
    return accuracies(complete(), testSet);
  }

  static double[] accuracies(List<Run> runs, String testSet) {
    return runs.stream()
        .map(run -> run.scores().get(testSet))
        .filter(Objects::nonNull)
        .mapToDouble(Score::accuracy)
        .toArray();
  }
}
