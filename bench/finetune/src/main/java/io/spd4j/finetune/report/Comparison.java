package io.spd4j.finetune.report;

import static java.util.stream.Collectors.groupingBy;
import static java.util.stream.Collectors.toList;

import io.spd4j.finetune.cli.Rule;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;

/**
 * How a setting's results differ from those of AdamW with the same state and data, seed by seed.
 *
 * @param baseline AdamW; if it was run with several λ or learning rates, the one with the highest
 *     in-distribution accuracy
 * @param points the differences in accuracy by test set, in percentage points
 * @param losses the differences in mean cross-entropy by test set
 * @param deviation the difference in ‖θ−θ0‖
 * @param deviationPercent the difference in ‖θ−θ0‖ in percent of AdamW's
 */
record Comparison(
    Setting setting,
    Setting baseline,
    Map<String, PairedDifference> points,
    Map<String, PairedDifference> losses,
    PairedDifference deviation,
    PairedDifference deviationPercent) {
  /** Returns the comparisons that have at least two seeds in something, in the report's order. */
  static List<Comparison> of(FinetuneReport report) {
    record Task(String state, String data) {}
    Map<Task, List<Setting>> comparable =
        Setting.of(report).stream()
            .collect(
                groupingBy(
                    s -> new Task(s.setup().state(), s.setup().data()),
                    LinkedHashMap::new,
                    toList()));
    List<Comparison> comparisons = new ArrayList<>();
    for (List<Setting> settings : comparable.values()) {
      Setting.bestOfEachRule(settings, report.testSets().getFirst()).stream()
          .filter(best -> best.rule().equals(Rule.ADAMW.title()))
          .forEach(baseline ->
              settings.stream()
                  .filter(setting -> setting != baseline)
                  .map(setting -> of(setting, baseline, report.testSets()))
                  .filter(comparison -> comparison.all().anyMatch(PairedDifference::enough))
                  .forEach(comparisons::add));
    }
    return comparisons;
  }

  private static Comparison of(Setting setting, Setting baseline, List<String> testSets) {
    List<Run> runs = setting.complete();
    List<Run> others = baseline.complete();
    Map<String, PairedDifference> points = new LinkedHashMap<>();
    Map<String, PairedDifference> losses = new LinkedHashMap<>();
    for (String testSet : testSets) {
      points.put(
          testSet,
          PairedDifference.of(
              runs,
              others,
              run -> measure(run, testSet, Score::accuracy),
              (own, other) -> 100 * (own - other)));
      losses.put(
          testSet,
          PairedDifference.of(
              runs,
              others,
              run -> measure(run, testSet, Score::loss),
              (own, other) -> own - other));
    }
    return new Comparison(
        setting,
        baseline,
        points,
        losses,
        PairedDifference.of(runs, others, Comparison::deviation, (own, other) -> own - other),
        PairedDifference.of(
            runs, others, Comparison::deviation, (own, other) -> 100 * (own - other) / other));
  }

  private static OptionalDouble measure(Run run, String testSet, ToDoubleFunction<Score> measure) {
    Score score = run.scores().get(testSet);
    return score == null ? OptionalDouble.empty() : OptionalDouble.of(measure.applyAsDouble(score));
  }

  private static OptionalDouble deviation(Run run) {
    return OptionalDouble.of(run.deviation());
  }

  /** Returns the differences in every measure. */
  private Stream<PairedDifference> all() {
    return Stream.of(
            points.values().stream(),
            losses.values().stream(),
            Stream.of(deviation, deviationPercent))
        .flatMap(all -> all);
  }
}
