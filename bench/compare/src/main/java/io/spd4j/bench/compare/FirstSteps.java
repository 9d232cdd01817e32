package io.spd4j.bench.compare;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import io.spd4j.Backend;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.report.Statistics;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * How long the first steps of a fresh JVM take, with no flags except those a backend needs.
 *
 * @param name the backend's name as a competitor
 * @param first nanoseconds of the first step
 * @param tenth nanoseconds of the tenth step
 * @param hundredth nanoseconds of the hundredth step
 * @param rest median nanoseconds of the steps after the hundredth
 */
record FirstSteps(
    @JsonUnwrapped StepCase step,
    String name,
    double first,
    double tenth,
    double hundredth,
    double rest) {
  private static final int TENTH = 9;
  private static final int HUNDREDTH = 99;
  private static final int STEPS = 130;

  /**
   * Starts a JVM for each case and each available backend, one after the other.
   *
   * @throws Failure if one of them fails
   */
  static List<FirstSteps> measure(List<StepCase> steps) throws Failure {
    List<FirstSteps> measured = new ArrayList<>();
    List<Backend> backends =
        Stream.of(Backend.NATIVE, Backend.VECTOR, Backend.SCALAR)
            .filter(b ->
                Backend.availability().stream().anyMatch(a -> a.backend() == b && a.available()))
            .toList();
    for (StepCase step : steps) {
      for (Backend backend : backends) {
        measured.add(of(step, Competitors.ours(backend, "--confined")));
      }
    }
    return measured;
  }

  private static FirstSteps of(StepCase step, Competitor backend) throws Failure {
    try (CompetitorProcess process = CompetitorProcess.start(backend)) {
      process.setup(step.timed());
      long[] nanos = process.step(STEPS).nanos();
      process.closeSetup();
      return new FirstSteps(
          step,
          backend.name(),
          nanos[0],
          nanos[TENTH],
          nanos[HUNDREDTH],
          Statistics.median(Arrays.stream(nanos).skip(HUNDREDTH + 1).asDoubleStream().toArray()));
    } catch (UnableException e) {
      throw Failure.ofCheck("first steps of " + backend.name() + ": " + e.getMessage());
    }
  }
}
