package io.spd4j.finetune;

import io.spd4j.finetune.report.Run;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Chooses settings by what they did on the validation set, which no test has seen. */
final class Choice {
  private Choice() {}

  /**
   * Returns runs with other seeds of the best settings: for each method and variation of the data,
   * the λ and the learning rate with the lowest mean loss. A loss that is not finite is the
   * highest.
   *
   * @param specs the trials that were to be made
   * @param trials their runs, in the same order, each with a validation
   */
  static List<RunSpec> runs(List<RunSpec> specs, List<Run> trials, List<Long> seeds) {
    record Task(Method method, Variation variation) {}
    record Sum(double loss, int runs) {
      Sum plus(double more) {
        return new Sum(loss + (Double.isFinite(more) ? more : Double.POSITIVE_INFINITY), runs + 1);
      }

      double mean() {
        return loss / runs;
      }
    }
    Map<Task, Map<RunSpec, Sum>> sums = new LinkedHashMap<>();
    for (int i = 0; i < trials.size(); i++) {
      RunSpec spec = specs.get(i);
      RunSpec anySeed = spec.withSeed(0);
      double loss = trials.get(i).validation().loss();
      sums.computeIfAbsent(new Task(spec.method(), spec.variation()), task -> new LinkedHashMap<>())
          .merge(anySeed, new Sum(0, 0).plus(loss), (sum, one) -> sum.plus(one.loss()));
    }
    List<RunSpec> chosen = new ArrayList<>();
    for (long seed : seeds) {
      for (Map<RunSpec, Sum> ofTask : sums.values()) {
        RunSpec best =
            ofTask.entrySet().stream()
                .min(Comparator.comparingDouble(entry -> entry.getValue().mean()))
                .orElseThrow()
                .getKey();
        chosen.add(best.withSeed(seed));
      }
    }
    return List.copyOf(chosen);
  }
}
