package io.spd4j.finetune.report;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.function.ToDoubleFunction;

/**
 * The results as rows: one for every rule, λ, learning rate, state and data, over the completed
 * seeds, and one for every interrupted run.
 */
public final class ResultTable {
  /** The content of a cell without a number. */
  private static final String NONE = "–";

  private final List<String> header = new ArrayList<>(List.of("rule"));
  private final List<List<String>> rows = new ArrayList<>();

  /** Whether there is a column for the state. */
  private final boolean states;

  /** Whether there is a column for the data. */
  private final boolean data;

  private final String note;

  /** Builds the table of a report. */
  public ResultTable(FinetuneReport report) {
    note = note(report);
    states = report.states().size() > 1;
    if (states) {
      header.add("state");
    }
    data = report.data().size() > 1;
    if (data) {
      header.add("data");
    }
    header.add("seeds");
    header.addAll(report.testSets());
    header.addAll(List.of("‖θ−θ0‖", "ms per step", "ms in optimizer", "tokens per s"));
    for (Setting setting : Setting.of(report)) {
      if (!setting.complete().isEmpty()) {
        String seeds = Integer.toString(setting.complete().size());
        rows.add(row(setting.label(), seeds, setting.complete(), report.testSets()));
      }
      for (Run run : setting.runs()) {
        if (!run.complete()) {
          int steps = run.steps();
          String label =
              setting.label()
                  + (steps == run.plannedSteps()
                      ? ", interrupted during the tests"
                      : ", interrupted after %d of %d steps".formatted(steps, run.plannedSteps()));
          rows.add(row(label, "seed " + run.seed(), List.of(run), report.testSets()));
        }
      }
    }
  }

  private List<String> row(String label, String seeds, List<Run> runs, List<String> testSets) {
    List<String> row = new ArrayList<>(List.of(label));
    if (states) {
      row.add(runs.getFirst().setup().state());
    }
    if (data) {
      row.add(data(runs.getFirst().setup().data()));
    }
    row.add(seeds);
    for (String testSet : testSets) {
      row.add(cell("%.2f%%", "%.2f", 100, Setting.accuracies(runs, testSet)));
    }
    row.add(cell("%.3f", runs, Run::deviation));
    List<Run> trained = runs.stream().filter(run -> run.steps() > 0).toList();
    row.add(cell("%.1f", trained, Run::stepMillis));
    row.add(cell("%.2f", trained, Run::optimizerMillis));
    row.add(cell("%.0f", trained, Run::tokensPerSecond));
    return row;
  }

  private static String cell(String format, List<Run> runs, ToDoubleFunction<Run> value) {
    return cell(format, format, 1, runs.stream().mapToDouble(value).toArray());
  }

  /** Formats mean ± standard deviation. */
  private static String cell(String mean, String deviation, double scale, double[] values) {
    if (values.length == 0) {
      return NONE;
    }
    String cell = String.format(Locale.ROOT, mean, scale * Statistics.mean(values));
    return values.length == 1
        ? cell
        : cell
            + " ± "
            + String.format(Locale.ROOT, deviation, scale * Statistics.standardDeviation(values));
  }

  /** Returns the text for a kind of data. */
  static String data(String name) {
    return name.isEmpty() ? "plain" : name;
  }

  /** Returns the column titles. */
  List<String> header() {
    return header;
  }

  /** Returns the cells of every row. */
  List<List<String>> rows() {
    return rows;
  }

  private static String note(FinetuneReport report) {
    OptionalDouble padding =
        report.runs().stream().filter(run -> run.steps() > 0).mapToDouble(Run::padding).average();
    return "‖θ−θ0‖ is the distance from the pre-trained weights; milliseconds are medians over a "
        + "run's steps; tokens per s are those of the texts, over all steps, without padding"
        + (padding.isPresent()
            ? String.format(
                Locale.ROOT, ", which was %.1f%% of what was computed", 100 * padding.getAsDouble())
            : "")
        + "; with several seeds: mean ± sample standard deviation.";
  }

  /** Returns an explanation of the numbers. */
  String note() {
    return note;
  }

  /** Returns the table in Markdown with a note below. */
  public String markdown() {
    return MarkdownTable.of(1 + (states ? 1 : 0) + (data ? 1 : 0), header, rows)
        + '\n'
        + note()
        + '\n';
  }
}
