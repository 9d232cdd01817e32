package io.spd4j.finetune.report;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import java.util.function.ToIntFunction;

/** All numbers of a report in JSON, which {@link StoredReport} reads. */
final class JsonReport {
  private JsonReport() {}

  static Map<String, Object> of(FinetuneReport report) {
    return Json.object(
        "title", report.title(),
        "finished", report.finished(),
        "machine", report.machine(),
        "settings", report.settings(),
        "test_sets", report.testSets(),
        "runs", report.runs().stream().map(run -> run(run, report.testSets())).toList(),
        "trials", report.trials().stream().map(run -> run(run, report.testSets())).toList(),
        "differences", Comparison.of(report).stream().map(JsonReport::comparison).toList());
  }

  private static Map<String, Object> run(Run run, List<String> testSets) {
    Map<String, Object> json = identity(run.setup(), run.seed());
    json.putAll(
        Json.object(
            "complete", run.complete(),
            "planned_steps", run.plannedSteps(),
            "steps", run.steps(),
            "scores", scores(run.scores(), testSets),
            "deviation", run.deviation(),
            "step_ms", run.stepMillis(),
            "optimizer_ms", run.optimizerMillis(),
            "tokens_per_second", run.tokensPerSecond(),
            "padding", run.padding(),
            "weights", run.weights(),
            "validation", run.validation(),
            "interpolated",
                run.interpolated().stream().map(model -> interpolated(model, testSets)).toList(),
            "history", run.history().isDropped() ? null : history(run.history())));
    return json;
  }

  private static Map<String, Object> interpolated(Interpolated model, List<String> testSets) {
    return Json.object(
        "alpha", model.alpha(),
        "scores", scores(model.scores(), testSets),
        "deviation", model.deviation());
  }

  /** Returns the scores in the order of the test sets. */
  private static Map<String, Score> scores(Map<String, Score> scores, List<String> testSets) {
    Map<String, Score> ordered = new LinkedHashMap<>();
    for (String testSet : testSets) {
      Score score = scores.get(testSet);
      if (score != null) {
        ordered.put(testSet, score);
      }
    }
    return ordered;
  }

  /** Returns what names a run. */
  static Map<String, Object> identity(Setup setup, long seed) {
    return Json.object(
        "rule", setup.rule(),
        "lambda", setup.lambda(),
        "lr", setup.lr(),
        "state", setup.state(),
        "data", setup.data(),
        "seed", seed);
  }

  private static Map<String, Object> comparison(Comparison comparison) {
    return Json.object(
        "setting", comparison.setting().setup(),
        "baseline", comparison.baseline().setup(),
        "points", comparison.points(),
        "losses", comparison.losses(),
        "deviation", comparison.deviation(),
        "deviation_percent", comparison.deviationPercent());
  }

  private static Map<String, Object> history(History history) {
    return Json.object(
        "loss", numbers(history, History.Step::loss),
        "gradient_norm", numbers(history, History.Step::gradientNorm),
        "learning_rate", numbers(history, History.Step::learningRate),
        "step_ms", numbers(history, History.Step::stepMillis),
        "optimizer_ms", numbers(history, History.Step::optimizerMillis),
        "tokens", integers(history, History.Step::tokens),
        "padding", integers(history, History.Step::padding),
        "layers", history.layers(),
        "deviations", history.deviations(),
        "stopped_early", history.stopped(),
        "tensors", history.tensors(),
        "selected", history.steps().stream().map(s -> s.selected().stream().toArray()).toList());
  }

  private static List<Double> numbers(History history, ToDoubleFunction<History.Step> value) {
    return history.steps().stream().mapToDouble(value).boxed().toList();
  }

  private static List<Integer> integers(History history, ToIntFunction<History.Step> value) {
    return history.steps().stream().mapToInt(value).boxed().toList();
  }
}
