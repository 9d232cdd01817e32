package io.spd4j.bench.compare;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.spd4j.Backend;
import io.spd4j.bench.Main;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.VectorModule;
import io.spd4j.finetune.report.Json;
import io.spd4j.finetune.report.Statistics;
import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * How long the steps of a fresh JVM take, with no flags but those that a backend needs.
 *
 * @param name of the backend, as a competitor
 * @param first nanoseconds of the first step
 * @param tenth nanoseconds of the tenth step
 * @param hundredth nanoseconds of the hundredth step
 * @param rest nanoseconds of a later step, the median
 */
record FirstSteps(
    StepCase step, String name, double first, double tenth, double hundredth, double rest) {
  private static final int TENTH = 9;
  private static final int HUNDREDTH = 99;
  private static final int STEPS = 130;

  /**
   * Starts a JVM for each case and each backend that is available, one after the other.
   *
   * @throws Failure if one of them fails
   */
  static List<FirstSteps> measure(List<StepCase> steps) throws Failure {
    List<FirstSteps> measured = new ArrayList<>();
    List<String> backends =
        Stream.of(Backend.NATIVE, Backend.VECTOR, Backend.SCALAR)
            .filter(b ->
                Backend.availability().stream().anyMatch(a -> a.backend() == b && a.available()))
            .map(Backend::id)
            .toList();
    for (StepCase step : steps) {
      for (String backend : backends) {
        measured.add(of(step, backend));
      }
    }
    return measured;
  }

  private static FirstSteps of(StepCase step, String backend) throws Failure {
    List<String> command =
        VectorModule.command(
            Main.class,
            "first-steps",
            "--shape=" + step.shape().name(),
            "--rule=" + step.rule(),
            "--select=" + step.select(),
            "--threads=" + step.threads(),
            "--backend=" + backend,
            "--steps=" + STEPS);
    try {
      Process process = new ProcessBuilder(command).redirectError(Redirect.INHERIT).start();
      byte[] out = process.getInputStream().readAllBytes();
      int status = process.waitFor();
      if (status != 0) {
        throw Failure.ofCheck(
            "first steps of %s: exit status %d, %s"
                .formatted(backend, status, new String(out, UTF_8)));
      }
      double[] nanos =
          ((List<?>) Json.read(out))
              .stream().mapToDouble(n -> ((Number) n).doubleValue()).toArray();
      return new FirstSteps(
          step,
          "spd4j-" + backend,
          nanos[0],
          nanos[TENTH],
          nanos[HUNDREDTH],
          Statistics.median(Arrays.copyOfRange(nanos, HUNDREDTH + 1, STEPS)));
    } catch (IOException e) {
      throw Failure.ofCheck("first steps of " + backend + ": " + e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw Failure.ofCheck("interrupted");
    }
  }
}
