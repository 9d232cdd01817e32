package io.spd4j.finetune.report;

import io.spd4j.finetune.cli.Failure;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;

/**
 * Training from random weights with several states.
 *
 * @param settings by name, in display order
 * @param machine where it ran
 * @param finished when it ended
 * @param curves complete runs, those of the first state are what the others are compared with
 */
public record PretrainReport(
    Map<String, Object> settings, Machine machine, Instant finished, List<Curve> curves) {
  private static final String NAME = "pretrain";

  /** Returns the states, in order of first appearance. */
  List<String> states() {
    return curves.stream().map(Curve::state).distinct().toList();
  }

  /** Returns the runs with a state. */
  List<Curve> of(String state) {
    return curves.stream().filter(curve -> curve.state().equals(state)).toList();
  }

  /** Returns the run of the first state with the same seed. */
  Optional<Curve> reference(Curve curve) {
    return of(states().getFirst()).stream().filter(r -> r.seed() == curve.seed()).findFirst();
  }

  /** Returns the results as a table in Markdown. */
  public String table() {
    if (curves.isEmpty()) {
      return "no run was completed";
    }
    String to = ", to " + states().getFirst();
    List<String> header =
        List.of("state", "seeds", "loss", "loss" + to, "held-out loss", "held-out loss" + to);
    header = new ArrayList<>(header);
    header.addAll(List.of("ms per step", "ms in optimizer"));
    List<List<String>> rows = new ArrayList<>();
    for (String state : states()) {
      List<Curve> runs = of(state);
      rows.add(
          List.of(
              state,
              Integer.toString(runs.size()),
              mean("%.4f", runs, Curve::finalLoss),
              difference(runs, Curve::finalLoss),
              mean("%.4f", runs, Curve::heldOut),
              difference(runs, Curve::heldOut),
              mean("%.1f", runs, Curve::stepMillis),
              mean("%.2f", runs, Curve::optimizerMillis)));
    }
    return MarkdownTable.of(1, header, rows)
        + "\nThe loss is the mean of the last "
        + Curve.LAST
        + " steps and of the seeds; with several seeds, the difference is that of the seed with the"
        + " largest.\n";
  }

  private static String mean(String format, List<Curve> runs, ToDoubleFunction<Curve> value) {
    return String.format(
        Locale.ROOT, format, Statistics.mean(runs.stream().mapToDouble(value).toArray()));
  }

  /** Formats the largest difference from the run of the first state with the same seed. */
  private String difference(List<Curve> runs, ToDoubleFunction<Curve> value) {
    double largest = 0;
    for (Curve run : runs) {
      Optional<Curve> reference = reference(run);
      if (reference.isPresent()) {
        double difference = value.applyAsDouble(run) / value.applyAsDouble(reference.get()) - 1;
        largest = Math.abs(difference) > Math.abs(largest) ? difference : largest;
      }
    }
    return String.format(Locale.ROOT, "%+.3f%%", 100 * largest);
  }

  /**
   * Writes all numbers and, if Java can draw here, a picture.
   *
   * @return where they are, in lines
   * @throws Failure if a file cannot be written
   */
  public String write(Path folder) throws Failure {
    Path json = folder.resolve(NAME + ".json");
    ReportFiles.write(json, out -> Json.write(json(), out));
    Stream.Builder<String> lines = Stream.builder();
    lines.add("numbers: " + json);
    if (!curves.isEmpty()) {
      try {
        byte[] svg = PretrainChart.svg(this).getBytes(StandardCharsets.UTF_8);
        Path picture = folder.resolve(NAME + ".svg");
        ReportFiles.write(picture, out -> out.write(svg));
        lines.add("picture: " + picture);
      } catch (LinkageError | InternalError | RuntimeException e) {
        lines.add("there is no picture, because Java could not draw it here (" + e + ")");
      }
    }
    return String.join("\n", lines.build().toList());
  }

  private Map<String, Object> json() {
    return Json.object(
        "title", "A small BERT from random weights, on mail",
        "finished", finished,
        "machine", machine,
        "settings", settings,
        "runs", curves.stream().map(PretrainReport::json).toList());
  }

  private static Map<String, Object> json(Curve curve) {
    return Json.object(
        "state", curve.state(),
        "seed", curve.seed(),
        "final_loss", curve.finalLoss(),
        "held_out_loss", curve.heldOut(),
        "step_ms", curve.stepMillis(),
        "optimizer_ms", curve.optimizerMillis(),
        "loss", curve.steps().stream().map(Curve.Step::loss).toList());
  }
}
