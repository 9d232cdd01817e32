package io.spd4j.finetune.report;

import io.spd4j.finetune.report.ChartStyle.Point;
import io.spd4j.finetune.report.Figure.Panel;
import java.awt.Color;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Draws the differences to AdamW: a panel for each measure, in it a row for each setting. */
final class PairedChart {
  static {
    // Must precede the loading of AWT, which otherwise looks for a display.
    System.setProperty("java.awt.headless", "true");
  }

  // Pixels.
  private static final int WIDTH = 490;
  private static final int ROW = 52;

  // Parts of a row, from its upper edge.
  private static final double LABEL = 0.3;
  private static final double INTERVAL = 0.42;
  private static final double SEEDS = 0.57;
  private static final double END = 0.97;

  private final FinetuneReport report;
  private final List<Comparison> comparisons;
  private final List<Panel> panels = new ArrayList<>();

  private PairedChart(FinetuneReport report) {
    this.report = report;
    comparisons = Comparison.of(report);
    for (String testSet : report.testSets()) {
      add(testSet, "accuracy, points", c -> c.points().get(testSet));
    }
    add("distance from the pre-trained weights", "‖θ−θ0‖, %", Comparison::deviationPercent);
  }

  /** Returns the picture, if there is something to compare. */
  static Optional<Figure> of(FinetuneReport report) {
    List<Panel> panels = new PairedChart(report).panels;
    String caption =
        "Each point is a seed: how far its run is from AdamW's run of the same seed, which is the line "
            + "at 0. To the right the rule is more accurate or, in the picture of the distance, farther from "
            + "the pre-trained weights. The diamond is the mean, the bar its 95% interval. Every picture "
            + "has an axis of its own.";
    return Optional.of(new Figure("Differences to AdamW, seed by seed", caption, List.of(), panels))
        .filter(figure -> !figure.panels().isEmpty());
  }

  private void add(String title, String axis, Function<Comparison, PairedDifference> difference) {
    List<Comparison> shown =
        comparisons.stream().filter(c -> difference.apply(c).enough()).toList();
    double[] all =
        shown.stream()
            .map(difference)
            .flatMapToDouble(d -> d.values().stream().mapToDouble(v -> v))
            .toArray();
    double low = Math.min(0, DoubleStream.of(all).min().orElse(0));
    double high = Math.max(0, DoubleStream.of(all).max().orElse(0));
    double margin = high > low ? 0.06 * (high - low) : 1;
    if (shown.isEmpty() || !Double.isFinite(high - low + 2 * margin)) {
      return;
    }
    XYChart chart =
        ChartStyle.rows(WIDTH, ROW, axis, shown.stream().map(c -> c.setting().label()).toList());
    chart.getStyler().setXAxisMin(low - margin).setXAxisMax(high + margin);
    Color ink = ChartSvg.color(Palette.INK);
    for (int row = 0; row < shown.size(); row++) {
      // Not through the label.
      List<Point> zero = List.of(new Point(0, -row - LABEL), new Point(0, -row - 1));
      ChartStyle.add(chart, row + " zero", ink, zero);
      Setting setting = shown.get(row).setting();
      Color color = ChartSvg.color(Palette.ofRule(report, setting.rule()));
      draw(chart, row, color, difference.apply(shown.get(row)));
    }
    panels.add(new Panel(title, ChartSvg.of(chart, "paired-" + panels.size())));
  }

  private static void draw(XYChart chart, int row, Color color, PairedDifference d) {
    int n = d.values().size();
    // Each seed a little lower than the one before, so that equal ones show.
    double[] y =
        IntStream.range(0, n).mapToDouble(i -> -row - SEEDS - (END - SEEDS) * i / n).toArray();
    double[] x = d.values().stream().mapToDouble(v -> v).toArray();
    ChartStyle.addPoints(chart, row + " seeds", color, SeriesMarkers.CIRCLE, x, y);
    List<Point> ends =
        DoubleStream.of(d.interval().low(), d.interval().high())
            .mapToObj(end -> new Point(end, -row - INTERVAL))
            .toList();
    ChartStyle.add(chart, row + " interval", color, ends);
    double[] mean = {d.mean()};
    double[] middle = {-row - INTERVAL};
    ChartStyle.addPoints(chart, row + " mean", color, SeriesMarkers.DIAMOND, mean, middle);
  }
}
