package io.spd4j.finetune.report;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Stream;

/** The numbered colours of the page's style sheet: {@code --chart-1} and so on. */
final class Palette {
  /** The colour of text and axes. */
  static final int INK = 1;

  static final int GRID = 2;
  private static final int FIRST_SERIES = 3;
  private static final int SERIES = 8;

  private Palette() {}

  /** Returns a rule's colour in all pictures of a report. */
  static int ofRule(FinetuneReport report, String rule) {
    List<String> rules =
        Stream.concat(
                report.trials().stream().map(trial -> trial.setup().rule()),
                Setting.of(report).stream().map(Setting::rule))
            .distinct()
            .toList();
    return ofSeries(rules.indexOf(rule));
  }

  /** Returns the colour of a line or bar, counted from 0. */
  static int ofSeries(int index) {
    return FIRST_SERIES + index % SERIES;
  }

  static String css(int color) {
    return "var(--chart-" + color + ")";
  }

  /** Returns the page's style sheet. */
  static String styleSheet() {
    try (InputStream css = Palette.class.getResourceAsStream("report.css")) {
      return new String(css.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
