package io.spd4j.finetune.report;

import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.report.ChartStyle.Point;
import io.spd4j.finetune.report.Figure.Key;
import io.spd4j.finetune.report.Figure.Panel;
import java.awt.Color;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategorySeries.CategorySeriesRenderStyle;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.internal.chartpart.AxesChart;

/** The charts of a report, drawn by XChart. Only this class loads AWT. */
final class Charts {
  static {
    // Must precede the loading of AWT, which otherwise looks for a display.
    System.setProperty("java.awt.headless", "true");
  }

  private static final int WIDTH = 1000;
  private static final int HEIGHT = 320;
  private static final int PANEL_HEIGHT = 260;

  /** The largest number of points of a line; more would show noise and make a large file. */
  private static final int MAX_POINTS = 100;

  private final FinetuneReport report;
  private final List<Setting> settings;

  /** One setting of each rule: more would be hard to tell apart. */
  private final List<Setting> best;

  /** The number of steps of their longest run. */
  private final int steps;

  private int charts;

  private Charts(FinetuneReport report) {
    this.report = report;
    settings = Setting.of(report);
    best = Setting.bestOfEachRule(report);
    steps =
        best.stream()
            .flatMap(s -> s.shown().stream())
            .mapToInt(run -> run.history().steps().size())
            .max()
            .orElse(0);
  }

  /** Returns all charts that have data; if not said otherwise, of the first state and data. */
  static List<Figure> of(FinetuneReport report) {
    Charts charts = new Charts(report.ofFirst());
    List<Figure> figures =
        new ArrayList<>(
            List.of(
                charts.accuracy(),
                charts.loss(),
                charts.deviations(),
                charts.sweep(),
                charts.interpolation()));
    Charts all = new Charts(report);
    all.charts = charts.charts; // ids go on
    figures.add(all.data());
    return figures.stream().filter(figure -> !figure.panels().isEmpty()).toList();
  }

  private Figure data() {
    List<Panel> panels = new ArrayList<>();
    List<String> data = report.data().stream().map(ResultTable::data).toList();
    boolean crowded = String.join("", data).length() > 60;
    for (String testSet : data.size() > 1 ? report.testSets() : List.<String>of()) {
      CategoryChart chart = ChartStyle.categories(490, PANEL_HEIGHT, "accuracy, %");
      chart.getStyler().setDefaultSeriesRenderStyle(CategorySeriesRenderStyle.Line);
      chart.getStyler().setOverlapped(true).setXAxisLabelRotation(crowded ? 25 : 0);
      for (Setting rule : best) {
        ChartStyle.add(
            chart,
            rule.rule(),
            color(rule),
            data,
            name -> percentages(bestOf(rule, s -> isShown(s, name)), testSet));
      }
      accuracyAxis(chart, List.of(testSet));
      panels.addAll(panels(testSet, chart));
    }
    List<Key> legend =
        best.stream()
            .map(s -> new Key(s.rule(), Palette.css(Palette.ofRule(report, s.rule()))))
            .toList();
    return new Figure(
        "Against the data",
        "Accuracy with every kind of training data." + spread(),
        legend,
        panels);
  }

  private boolean isShown(Setting setting, String data) {
    return ResultTable.data(setting.setup().data()).equals(data)
        && setting.setup().state().equals(report.states().getFirst());
  }

  /** Returns the best of a rule's settings that are wanted, or nothing. */
  private List<Setting> bestOf(Setting rule, Predicate<Setting> wanted) {
    List<Setting> ofRule =
        settings.stream().filter(s -> s.rule().equals(rule.rule())).filter(wanted).toList();
    return Setting.bestOfEachRule(ofRule, report.testSets().getFirst());
  }

  private static double[] percentages(List<Setting> settings, String testSet) {
    return settings.stream()
        .flatMapToDouble(s -> DoubleStream.of(percentages(s, testSet)))
        .toArray();
  }

  private Figure accuracy() {
    CategoryChart chart = ChartStyle.categories(WIDTH, HEIGHT, "accuracy, %");
    chart.getStyler().setAvailableSpaceFill(0.6);
    for (Setting s : best) {
      ChartStyle.add(
          chart, s.rule(), color(s), report.testSets(), testSet -> percentages(s, testSet));
    }
    double from = accuracyAxis(chart, report.testSets());
    String caption =
        "The share of correctly classified examples in every test set%s.%s%s"
            .formatted(
                from > 0 ? String.format(Locale.ROOT, " (the axis begins at %.0f%%)", from) : "",
                spread(),
                choice());
    return new Figure("Accuracy", caption, legend(chart, Setting::shownLabel), panels("", chart));
  }

  private Figure loss() {
    int perPoint = Math.max(1, Math.ceilDiv(steps, MAX_POINTS));
    XYChart chart = ChartStyle.steps(WIDTH, HEIGHT, "loss", steps);
    for (Setting s : best) {
      List<Point> points =
          IntStream.iterate(0, begin -> begin < steps, begin -> begin + perPoint)
              .mapToObj(begin ->
                  new Point(begin + (1 + perPoint) / 2.0, meanLoss(s.shown(), begin, perPoint)))
              .toList();
      ChartStyle.add(chart, s.rule(), color(s), points);
    }
    String caption =
        "The training loss%s%s.%s"
            .formatted(
                perPoint == 1 ? "" : ", each point the mean of " + perPoint + " steps",
                best.stream().anyMatch(s -> s.shown().size() > 1) ? " of all seeds" : "",
                choice());
    return new Figure("Loss", caption, legend(chart, Setting::shownLabel), panels("", chart));
  }

  private static double meanLoss(List<Run> runs, int begin, int steps) {
    return Statistics.mean(
        runs.stream()
            .flatMap(run -> run.history().steps().stream().skip(begin).limit(steps))
            .mapToDouble(History.Step::loss)
            .toArray());
  }

  private Figure deviations() {
    double max =
        best.stream()
            .flatMap(s -> s.shown().stream())
            .flatMap(run -> run.history().deviations().stream())
            .flatMap(deviation -> deviation.layers().stream())
            .filter(Double::isFinite)
            .max(Double::compare)
            .orElse(0.0);
    List<Key> legend = new ArrayList<>();
    List<Panel> panels = new ArrayList<>();
    for (Setting s : best) {
      XYChart chart = ChartStyle.steps(panelWidth(best.size()), PANEL_HEIGHT, "‖θ−θ0‖", steps);
      chart.getStyler().setYAxisMax(max > 0 ? 1.05 * max : 1);
      List<String> layers = s.shown().getFirst().history().layers();
      for (int layer = 0; layer < layers.size(); layer++) {
        Color color = layerColor(layer, layers.size());
        ChartStyle.add(chart, layers.get(layer), color, deviations(s.shown(), layer));
        Key key = new Key(layers.get(layer), css(color));
        if (!legend.contains(key)) {
          legend.add(key);
        }
      }
      panels.addAll(panels(s.shownLabel(), chart));
    }
    String caption =
        "How far the weights of every layer are from the pre-trained ones, on the same axis for "
            + "every rule"
            + (best.stream().anyMatch(s -> s.shown().size() > 1) ? "; means over the seeds" : "")
            + "."
            + choice();
    return new Figure("Distance from the pre-trained weights", caption, legend, panels);
  }

  /** Returns the mean over the runs, which record their deviations at the same steps. */
  private static List<Point> deviations(List<Run> runs, int layer) {
    List<History.Deviation> first = runs.getFirst().history().deviations();
    int every = Math.max(1, Math.ceilDiv(first.size(), MAX_POINTS));
    return IntStream.range(0, first.size())
        .filter(i -> i % every == 0 || i == first.size() - 1)
        .mapToObj(i -> new Point(first.get(i).step(), meanDeviation(runs, i, layer)))
        .toList();
  }

  private static double meanDeviation(List<Run> runs, int record, int layer) {
    return Statistics.mean(
        runs.stream()
            .map(run -> run.history().deviations())
            .filter(deviations -> record < deviations.size())
            .mapToDouble(deviations -> deviations.get(record).layers().get(layer))
            .toArray());
  }

  private Figure sweep() {
    List<Panel> panels = new ArrayList<>();
    List<Key> legend = List.of();
    if (best.stream().anyMatch(this::hasSeveralLambdas)) {
      for (String testSet : report.testSets()) {
        CategoryChart chart = sweepChart("accuracy, %", s -> percentages(s, testSet));
        accuracyAxis(chart, List.of(testSet));
        panels.addAll(panels(testSet, chart));
      }
      CategoryChart chart =
          sweepChart("‖θ−θ0‖", s -> s.complete().stream().mapToDouble(Run::deviation).toArray());
      chart.getStyler().setYAxisMin(0.0);
      panels.addAll(panels("distance from the pre-trained weights", chart));
      legend = legend(chart, Setting::rule);
    }
    return new Figure("Against λ", "All λ that were tried." + choice() + spread(), legend, panels);
  }

  private Figure interpolation() {
    List<Panel> panels = new ArrayList<>();
    Optional<Setting> tuned = best.stream().filter(InterpolationChart::hasLine).findFirst();
    for (int i = 1; tuned.isPresent() && i < report.testSets().size(); i++) {
      int width = panelWidth(report.testSets().size() - 1);
      XYChart chart =
          InterpolationChart.of(width, report, tuned.get(), best, report.testSets().get(i));
      panels.addAll(panels(report.testSets().get(i), chart));
    }
    return new Figure(
        "Between the probed and the fine-tuned model",
        "The line of WiSE-FT: accuracy on the in-distribution test set and on another one along "
            + "(1−α)·θ0 + α·θ, for the α beside the points. α = 1 is the end of LP-FT, and α = 0 its "
            + "trained head on the pre-trained model. The other methods are single points. Higher "
            + "and farther right is better; means over the seeds."
            + choice(),
        best.stream()
            .filter(s -> !s.complete().isEmpty())
            .map(s -> new Key(s.label(), Palette.css(Palette.ofRule(report, s.rule()))))
            .toList(),
        panels);
  }

  private boolean hasSeveralLambdas(Setting rule) {
    return rule.isTrained()
        && settings.stream()
                .filter(s -> s.rule().equals(rule.rule()))
                .mapToDouble(Setting::lambda)
                .distinct()
                .count()
            > 1;
  }

  private CategoryChart sweepChart(String title, Function<Setting, double[]> values) {
    CategoryChart chart =
        ChartStyle.categories(panelWidth(report.testSets().size() + 1), PANEL_HEIGHT, title);
    chart.getStyler().setDefaultSeriesRenderStyle(CategorySeriesRenderStyle.Line);
    chart.getStyler().setOverlapped(true).setXAxisTickMarkSpacingHint(20);
    chart.setXAxisTitle("λ");
    List<String> lambdas =
        settings.stream()
            .filter(Setting::isTrained)
            .mapToDouble(Setting::lambda)
            .distinct()
            .sorted()
            .mapToObj(Rule::number)
            .toList();
    for (Setting rule : best.stream().filter(Setting::isTrained).toList()) {
      ChartStyle.add(
          chart,
          rule.rule(),
          color(rule),
          lambdas,
          lambda ->
              bestOf(rule, s -> Rule.number(s.lambda()).equals(lambda)).stream()
                  .flatMapToDouble(s -> DoubleStream.of(values.apply(s)))
                  .toArray());
    }
    return chart;
  }

  private boolean isSweep() {
    return settings.size() > best.size();
  }

  private String choice() {
    return isSweep()
        ? " Of a rule's settings, the one with the highest in-distribution accuracy is shown."
        : "";
  }

  private String spread() {
    return settings.stream().anyMatch(s -> s.complete().size() > 1)
        ? " Error bars are the sample standard deviation over the seeds."
        : "";
  }

  private static double[] percentages(Setting setting, String testSet) {
    return DoubleStream.of(setting.accuracies(testSet)).map(a -> 100 * a).toArray();
  }

  /**
   * Sets the axis's range and returns its start, which is above 0 where differences would not show
   * otherwise.
   */
  private double accuracyAxis(CategoryChart chart, List<String> testSets) {
    double from =
        settings.stream()
            .flatMap(s -> testSets.stream().map(testSet -> percentages(s, testSet)))
            .flatMapToDouble(DoubleStream::of)
            .map(percentage -> Math.max(0, 5 * Math.floor((percentage - 2) / 5)))
            .min()
            .orElse(0);
    chart.getStyler().setYAxisMin(from).setYAxisMax(100.0);
    return from;
  }

  /** Returns the width for three panels in a row, or for two if that fills the last row better. */
  private static int panelWidth(int panels) {
    return panels % 3 == 0 ? 320 : 490;
  }

  private Color color(Setting setting) {
    return ChartSvg.color(Palette.ofRule(report, setting.rule()));
  }

  private List<Key> legend(AxesChart<?, ?> chart, Function<Setting, String> label) {
    return best.stream()
        .filter(s -> chart.getSeries(s.rule()) != null)
        .map(s -> new Key(label.apply(s), Palette.css(Palette.ofRule(report, s.rule()))))
        .toList();
  }

  private List<Panel> panels(String title, AxesChart<?, ?> chart) {
    charts++;
    return chart.getSeriesCollection().isEmpty()
        ? List.of()
        : List.of(new Panel(title, ChartSvg.of(chart, "chart-" + charts)));
  }

  /**
   * Returns a colour of the rainbow, from the first layer to the last, visible on white and on
   * black.
   */
  private static Color layerColor(int layer, int layers) {
    return Color.getHSBColor(0.85f * layer / layers, 0.65f, 0.8f);
  }

  private static String css(Color color) {
    return "rgb(%d,%d,%d)".formatted(color.getRed(), color.getGreen(), color.getBlue());
  }
}
