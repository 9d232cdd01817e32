package io.spd4j.finetune;

import static java.util.stream.Collectors.averagingDouble;
import static java.util.stream.Collectors.groupingBy;

import io.spd4j.finetune.report.Run;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

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
    Map<Task, Map<RunSpec, Double>> losses =
        IntStream.range(0, trials.size())
            .boxed()
            .collect(
                groupingBy(
                    i -> new Task(specs.get(i).method(), specs.get(i).variation()),
                    LinkedHashMap::new,
                    groupingBy(
                        i -> specs.get(i).withSeed(0),
                        LinkedHashMap::new,
                        averagingDouble(i -> loss(trials.get(i))))));
    List<RunSpec> chosen = new ArrayList<>();
    for (long seed : seeds) {
      for (Map<RunSpec, Double> ofTask : losses.values()) {
        RunSpec best =
            ofTask.entrySet().stream().min(Map.Entry.comparingByValue()).orElseThrow().getKey();
        chosen.add(best.withSeed(seed));
      }
    }
    return List.copyOf(chosen);
  }

  private static double loss(Run trial) {
    double loss = trial.validation().loss();
    return Double.isFinite(loss) ? loss : Double.POSITIVE_INFINITY;
  }
}
