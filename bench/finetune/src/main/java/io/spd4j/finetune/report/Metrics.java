package io.spd4j.finetune.report;

import io.spd4j.safetensors.AtomicFile;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;

/**
 * A file of what happens in a job's runs, as it happens: one line of JSON for each step, record of
 * the deviations, layer that stops and result. Every line names its run. A job that dies leaves all
 * but the line that it was writing. If the file cannot be written, says so once and then writes no
 * more. Not thread-safe.
 */
public final class Metrics implements AutoCloseable {
  private final Consumer<String> problem;

  /** Null if nothing is written, or no more. */
  private BufferedWriter out;

  private boolean complete = true;

  /** The fields that name the run that is written. */
  private Map<String, Object> run = Map.of();

  private int steps;
  private int deviations;
  private int stopped;

  /**
   * Opens a file; replaces an existing one.
   *
   * @param file null to write nothing
   * @param finished runs of before a resume
   * @param problem told if the file cannot be written
   */
  public Metrics(Path file, List<Run> finished, Consumer<String> problem) {
    this.problem = problem;
    if (file == null) {
      return;
    }
    StringWriter before = new StringWriter();
    out = new BufferedWriter(before);
    for (Run r : finished) {
      append(r.setup(), r.seed(), r.history());
      finish(r);
    }
    byte[] lines = before.toString().getBytes(StandardCharsets.UTF_8);
    attempt(() -> {
      AtomicFile.write(file, stream -> stream.write(lines));
      out = Files.newBufferedWriter(file, StandardOpenOption.APPEND);
    });
  }

  private interface Writing {
    void run() throws IOException;
  }

  private void attempt(Writing writing) {
    try {
      writing.run();
    } catch (IOException e) {
      close();
      out = null;
      complete = false;
      problem.accept("no more metrics are written: " + ReportFiles.reason(e));
    }
  }

  /**
   * Writes what a run's history has gained since the last call for this run.
   *
   * @param setup as in {@link Run}, like the seed
   */
  public void append(Setup setup, long seed, History history) {
    Map<String, Object> of = JsonReport.identity(setup, seed);
    if (!of.equals(run)) {
      run = of;
      steps = 0;
      deviations = 0;
      stopped = 0;
    }
    if (out != null) {
      attempt(() -> append(history));
    }
  }

  private void append(History history) throws IOException {
    records(history, steps);
    while (steps < history.steps().size()) {
      History.Step step = history.steps().get(steps++);
      line(
          "step", steps,
          "loss", step.loss(),
          "gradient_norm", step.gradientNorm(),
          "learning_rate", step.learningRate(),
          "step_ms", step.stepMillis(),
          "optimizer_ms", step.optimizerMillis(),
          "tokens", step.tokens(),
          "padding", step.padding(),
          "selected", step.selected().cardinality());
      records(history, steps);
    }
    out.flush();
  }

  /** Writes the records of the state after a step. */
  private void records(History history, int step) throws IOException {
    while (deviations < history.deviations().size()
        && history.deviations().get(deviations).step() <= step) {
      History.Deviation deviation = history.deviations().get(deviations++);
      Map<String, Object> layers = Json.object();
      for (int i = 0; i < history.layers().size(); i++) {
        layers.put(history.layers().get(i), deviation.layers().get(i));
      }
      line("step", deviation.step(), "deviations", layers);
    }
    List<Map.Entry<String, Integer>> stops = List.copyOf(history.stopped().sequencedEntrySet());
    while (stopped < stops.size() && stops.get(stopped).getValue() <= step) {
      line("step", step, "stopped_early", stops.get(stopped++).getKey());
    }
  }

  /** Writes the result of a run. */
  public void finish(Run result) {
    if (out != null) {
      attempt(() -> {
        Map<String, Object> fields =
            Json.object(
                "step", result.history().steps().size(),
                "complete", result.complete(),
                "deviation", result.deviation(),
                "scores", new TreeMap<>(result.scores()));
        if (result.validation() != null) {
          fields.put("validation", result.validation());
        }
        line(fields);
        out.flush();
      });
    }
    run = Map.of();
  }

  private void line(Object... fields) throws IOException {
    line(Json.object(fields));
  }

  private void line(Map<String, Object> fields) throws IOException {
    Map<String, Object> line = Json.object();
    line.putAll(run);
    line.putAll(fields);
    out.write(Json.line(line));
    out.newLine();
  }

  /** Returns whether everything could be written so far. */
  public boolean complete() {
    return complete;
  }

  @Override
  public void close() {
    if (out != null) {
      try {
        out.close();
      } catch (IOException e) {
        // everything was flushed before, or that has failed
      }
    }
  }
}
