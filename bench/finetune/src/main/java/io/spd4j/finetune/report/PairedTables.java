package io.spd4j.finetune.report;

import static java.util.stream.Collectors.groupingBy;
import static java.util.stream.Collectors.toList;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The differences to AdamW, seed by seed, as a table for each AdamW that is compared with. */
public final class PairedTables {
  static final String TITLE = "Differences to AdamW";
  static final List<String> HEADER =
      List.of("rule", "measure", "seeds", "mean difference", "95% interval", "+ / − / ties", "p");

  /** The content of a cell without a number. */
  private static final String NONE = "–";

  private static final double USUAL_LEVEL = 0.05;

  /**
   * One table.
   *
   * @param title what the settings are compared with
   */
  record Table(String title, List<List<String>> rows) {}

  private final List<Table> tables = new ArrayList<>();

  /** How many p-values there are. */
  private int tests;

  /** The largest number of seeds in a row. */
  private int seeds;

  /** Whether AdamW was run with several λ or learning rates. */
  private final boolean severalAdamw;

  /** Builds the tables of a report; none if no setting shares two seeds with AdamW. */
  public PairedTables(FinetuneReport report) {
    Map<Setting, List<Comparison>> byBaseline =
        Comparison.of(report).stream()
            .collect(groupingBy(Comparison::baseline, LinkedHashMap::new, toList()));
    severalAdamw =
        byBaseline.values().stream()
            .flatMap(List::stream)
            .anyMatch(c -> c.setting().rule().equals(c.baseline().rule()));
    byBaseline.forEach((baseline, comparisons) -> {
      List<List<String>> rows = new ArrayList<>();
      for (Comparison c : comparisons) {
        String rule = c.setting().label();
        c.points()
            .forEach((testSet, difference) -> {
              if (!difference.seeds().isEmpty()) { // not every test is for all data
                rows.add(row(rule, testSet + ", points", "%+.2f", "", difference));
              }
            });
        c.losses()
            .forEach((testSet, difference) -> {
              if (!difference.seeds().isEmpty()) {
                rows.add(row(rule, testSet + ", loss", "%+.4f", "", difference));
              }
            });
        double percent = c.deviationPercent().mean();
        String addition = Double.isFinite(percent) ? number(" (%+.1f%%)", percent) : "";
        rows.add(row(rule, "‖θ−θ0‖", "%+.3f", addition, c.deviation()));
      }
      tables.add(new Table(title(report, baseline), rows));
    });
  }

  private static String title(FinetuneReport report, Setting baseline) {
    String title = "Compared with " + baseline.label();
    if (report.states().size() > 1) {
      title += "; state: " + baseline.setup().state();
    }
    if (report.data().size() > 1) {
      title += "; data: " + ResultTable.data(baseline.setup().data());
    }
    return title;
  }

  private List<String> row(
      String rule, String measure, String format, String addition, PairedDifference d) {
    String count = Integer.toString(d.seeds().size());
    if (!d.enough()) {
      return List.of(rule, measure, count, NONE, NONE, NONE, NONE);
    }
    tests++;
    seeds = Math.max(seeds, d.seeds().size());
    SignTest signs = d.signs();
    return List.of(
        rule,
        measure,
        count,
        number(format, d.mean()) + addition,
        number(format, d.interval().low()) + " to " + number(format, d.interval().high()),
        "%d / %d / %d".formatted(signs.plus(), signs.minus(), signs.ties()),
        signs.p() < 0.001 ? "< 0.001" : number("%.3f", signs.p()));
  }

  private static String number(String format, double value) {
    return String.format(Locale.ROOT, format, value);
  }

  List<Table> tables() {
    return tables;
  }

  /** Returns how to read the tables, in paragraphs. */
  List<String> notes() {
    double smallest = SignTest.smallestP(seeds);
    List<String> notes = new ArrayList<>();
    notes.add(
        "A run is compared with AdamW's run of the same seed, which saw the same data in the same "
            + "order. Points are percentage points of accuracy: above 0, the rule was better than "
            + "AdamW. The loss is the mean cross-entropy on the test mails, which sees more than the "
            + "accuracy: below 0, the rule was better. ‖θ−θ0‖ below 0: it stayed closer to the pre-trained weights."
            + (severalAdamw
                ? " Of AdamW's settings, the one with the highest in-distribution accuracy is "
                    + "compared with."
                : ""));
    notes.add(
        "The interval says how well these seeds tell the mean difference: if it contains 0, the "
            + "seeds show no difference. It is a percentile bootstrap ("
            + String.format(Locale.ROOT, "%,d", BootstrapInterval.RESAMPLES)
            + " resamples of the seeds) "
            + "and too narrow with few seeds: of such intervals, about 75% contain the true mean with 3 "
            + "seeds and 90% with 10. It tells of other seeds, not of other mails.");
    notes.add(
        "p is how often chance alone would give signs as uneven as these, or more so, if the rule "
            + "made no difference (two-sided sign test, without the ties). With %d seeds it cannot "
                .formatted(seeds)
            + number("be below %.3g", smallest)
            + (smallest < USUAL_LEVEL
                ? "."
                : ", whatever the rule does: too few for p < 0.05, which needs 6."));
    if (tests > 1) {
      notes.add(
          "There are %d rows with a p. By chance alone, up to one in 20 has p < 0.05: the more rows, "
                  .formatted(tests)
              + "the less a single one says. Decide before a job which row is to count; to be safe with "
              + "all, multiply p by their number.");
    }
    return notes;
  }

  /** Returns the tables in Markdown with the notes below; empty without a table. */
  public String markdown() {
    if (tables.isEmpty()) {
      return "";
    }
    StringBuilder markdown = new StringBuilder();
    for (Table table : tables) {
      markdown.append(table.title()).append(", seed by seed:\n\n");
      markdown.append(MarkdownTable.of(2, HEADER, table.rows())).append('\n');
    }
    return markdown + String.join("\n", notes()) + '\n';
  }
}
