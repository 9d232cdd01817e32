package io.spd4j.finetune.report;

import io.spd4j.finetune.cli.Rule;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * A rule with its λ, learning rate, state and data, and its runs, which differ in the seed.
 *
 * @param showLr whether the label has the learning rate
 */
record Setting(Setup setup, List<Run> runs, boolean showLr) {
  /** Returns the settings of all runs, in order of first appearance; WiSE-FT's follow the rest. */
  static List<Setting> of(FinetuneReport report) {
    Map<Setup, List<Run>> bySetup = new LinkedHashMap<>();
    for (Run run : report.runs()) {
      bySetup.computeIfAbsent(run.setup(), setup -> new ArrayList<>()).add(run);
    }
    List<Run> tuned = report.runs().stream().filter(r -> !r.interpolated().isEmpty()).toList();
    boolean sweep = tuned.stream().mapToDouble(run -> run.setup().lambda()).distinct().count() > 1;
    for (Run run : tuned) {
      run.interpolated().stream()
          .map(model -> wise(run, model, sweep))
          .forEach(
              wise -> bySetup.computeIfAbsent(wise.setup(), setup -> new ArrayList<>()).add(wise));
    }
    boolean showLr = bySetup.keySet().stream().mapToDouble(Setup::lr).distinct().count() > 1;
    return bySetup.entrySet().stream()
        .map(e -> new Setting(e.getKey(), e.getValue(), showLr))
        .toList();
  }

  /**
   * Returns a run that took no steps of its own.
   *
   * @param sweep whether the name must say of which λ
   */
  private static Run wise(Run run, Interpolated model, boolean sweep) {
    Setup of = run.setup();
    String name = sweep ? Setup.WISE_FT + " of λ = " + Rule.number(of.lambda()) : Setup.WISE_FT;
    return new Run(
        new Setup(name, model.alpha(), of.lr(), of.state(), of.data()),
        run.seed(),
        0,
        run.complete(),
        model.scores(),
        model.deviation(),
        new History(List.of(), List.of()),
        null,
        null,
        List.of());
  }

  /**
   * Returns each rule's setting with the highest in-distribution accuracy, or its first setting.
   */
  static List<Setting> bestOfEachRule(FinetuneReport report) {
    return bestOfEachRule(of(report), report.testSets().getFirst());
  }

  static List<Setting> bestOfEachRule(List<Setting> settings, String testSet) {
    Map<String, Setting> best = new LinkedHashMap<>();
    for (Setting s : settings) {
      best.merge(s.rule(), s, (a, b) -> b.rank(testSet) > a.rank(testSet) ? b : a);
    }
    return List.copyOf(best.values());
  }

  /** Returns whether the runs took steps of their own. */
  boolean isTrained() {
    return runs.getFirst().plannedSteps() > 0;
  }

  private double rank(String testSet) {
    double[] accuracies = accuracies(testSet);
    return accuracies.length == 0 ? -1 : Statistics.mean(accuracies);
  }

  String rule() {
    return setup.rule();
  }

  double lambda() {
    return setup.lambda();
  }

  String label() {
    return showLr ? setup.label() + ", lr = " + setup.learningRate() : setup.label();
  }

  /** Returns the label for a picture. */
  String shownLabel() {
    return complete().isEmpty() ? label() + " (interrupted)" : label();
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
