package io.spd4j.finetune.report;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.PropertyNamingStrategies.SnakeCaseStrategy;
import com.fasterxml.jackson.databind.annotation.JsonNaming;
import io.spd4j.finetune.cli.Failure;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * What {@link JsonReport} wrote. Numbers have all their bits, but an infinite one has become NaN.
 *
 * @param differences not needed: they follow from the runs
 */
@JsonNaming(SnakeCaseStrategy.class)
record StoredReport(
    String title,
    Instant finished,
    Machine machine,
    SequencedMap<String, Object> settings,
    List<String> testSets,
    List<StoredRun> runs,
    List<StoredRun> trials,
    List<Object> differences) {
  /**
   * Reads a report.
   *
   * @throws Failure if the file cannot be read, or is not a report as this version writes it
   */
  static FinetuneReport read(Path file) throws Failure {
    try {
      return Json.readExactly(Files.readAllBytes(file), StoredReport.class).report();
    } catch (JsonProcessingException e) {
      throw notAReport(file, e.getOriginalMessage());
    } catch (NoSuchFileException e) {
      throw Failure.ofInput("there is no file " + file);
    } catch (IOException e) {
      throw Failure.ofInput("%s cannot be read: %s".formatted(file, ReportFiles.reason(e)));
    } catch (RuntimeException e) { // parts that are null or do not belong together
      throw notAReport(file, e.getMessage());
    }
  }

  private static Failure notAReport(Path file, String reason) {
    return Failure.ofInput(
        "%s is not a report of finetune, or one of another version: %s".formatted(file, reason));
  }

  private FinetuneReport report() {
    if (Stream.of(title, finished, machine, settings, testSets).anyMatch(Objects::isNull)) {
      throw new IllegalArgumentException(
          "its title, time, machine, settings or test sets are null");
    }
    return new FinetuneReport(
        title,
        settings,
        machine,
        finished,
        testSets,
        runs.stream().map(StoredRun::run).toList(),
        trials.stream().map(StoredRun::run).toList());
  }

  @JsonNaming(SnakeCaseStrategy.class)
  private record StoredRun(
      String rule,
      double lambda,
      double lr,
      String state,
      String data,
      long seed,
      boolean complete,
      int plannedSteps,
      int steps,
      Map<String, Score> scores,
      double deviation,
      double stepMs,
      double optimizerMs,
      double tokensPerSecond,
      double padding,
      String weights,
      Score validation,
      List<Interpolated> interpolated,
      StoredHistory history) {
    Run run() {
      return new Run(
          new Setup(rule, lambda, lr, state, data),
          seed,
          plannedSteps,
          complete,
          scores,
          deviation,
          history == null
              ? History.dropped(
                  new StepSummary(steps, stepMs, optimizerMs, tokensPerSecond, padding))
              : history.history(),
          weights,
          validation,
          interpolated);
    }
  }

  @JsonNaming(SnakeCaseStrategy.class)
  private record StoredHistory(
      List<Double> loss,
      List<Double> gradientNorm,
      List<Double> learningRate,
      List<Double> stepMs,
      List<Double> optimizerMs,
      List<Integer> tokens,
      List<Integer> padding,
      List<String> layers,
      List<History.Deviation> deviations,
      @JsonProperty("stopped_early") SequencedMap<String, Integer> stopped,
      List<String> tensors,
      List<int[]> selected) {
    History history() {
      return History.of(
          layers,
          tensors,
          IntStream.range(0, loss.size()).mapToObj(this::step).toList(),
          deviations,
          stopped);
    }

    private History.Step step(int i) {
      BitSet bits = new BitSet();
      IntStream.of(selected.get(i)).forEach(bits::set);
      return new History.Step(
          loss.get(i),
          gradientNorm.get(i),
          learningRate.get(i),
          stepMs.get(i),
          optimizerMs.get(i),
          tokens.get(i),
          padding.get(i),
          bits);
    }
  }
}
