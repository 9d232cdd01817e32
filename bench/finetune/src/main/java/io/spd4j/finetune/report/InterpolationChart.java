package io.spd4j.finetune.report;

import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.report.ChartStyle.Point;
import java.awt.Font;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.knowm.xchart.AnnotationText;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * The picture of the WiSE-FT paper: the accuracy on the in-distribution test set and on another one
 * along the line between two models, and those of other methods as points.
 */
final class InterpolationChart {
  private static final int HEIGHT = 320;

  private InterpolationChart() {}

  /** Returns whether models between the ends of the setting's runs were tested. */
  static boolean hasLine(Setting setting) {
    return setting.complete().stream().anyMatch(run -> !run.interpolated().isEmpty());
  }

  /**
   * Draws a panel.
   *
   * @param tuned the end of the line
   * @param others settings that are points, which may include it
   * @param testSet the test set of the y axis
   */
  static XYChart of(
      int width, FinetuneReport report, Setting tuned, List<Setting> others, String testSet) {
    String near = report.testSets().getFirst();
    Map<Double, Point> line = line(tuned, near, testSet);
    List<Setting> tested = others.stream().filter(s -> finite(mean(s, near, testSet))).toList();
    List<Point> all =
        Stream.concat(line.values().stream(), tested.stream().map(s -> mean(s, near, testSet)))
            .toList();
    XYChart chart = ChartStyle.plane(width, HEIGHT, near + ", %", testSet + ", %", all);
    int color = Palette.ofRule(report, tuned.rule());
    ChartStyle.add(chart, "line", ChartSvg.color(color), List.copyOf(line.values()));
    chart.getSeriesCollection().forEach(series -> series.setMarker(SeriesMarkers.CIRCLE));
    for (Setting s : tested) {
      ChartStyle.add(
          chart,
          s.rule(),
          ChartSvg.color(Palette.ofRule(report, s.rule())),
          List.of(mean(s, near, testSet)));
    }
    chart.getStyler().setAnnotationTextFont(new Font(Font.SANS_SERIF, Font.PLAIN, 11));
    chart.getStyler().setAnnotationTextFontColor(ChartSvg.color(Palette.INK));
    double above = 0.06 * (chart.getStyler().getYAxisMax() - chart.getStyler().getYAxisMin());
    line.forEach((alpha, point) ->
        chart.addAnnotation(
            new AnnotationText(Rule.number(alpha), point.x(), point.y() + above, false)));
    return chart;
  }

  /** Returns the means by α, from the smallest to 1. */
  private static Map<Double, Point> line(Setting tuned, String near, String testSet) {
    Map<Double, Point> line = new TreeMap<>();
    tuned.complete().stream()
        .flatMap(run -> run.interpolated().stream())
        .map(Interpolated::alpha)
        .distinct()
        .forEach(alpha -> {
          List<Map<String, Score>> scores =
              tuned.complete().stream()
                  .flatMap(run -> run.interpolated().stream())
                  .filter(model -> model.alpha() == alpha)
                  .map(Interpolated::scores)
                  .toList();
          line.put(alpha, new Point(percentage(scores, near), percentage(scores, testSet)));
        });
    line.put(1.0, mean(tuned, near, testSet));
    line.values().removeIf(point -> !finite(point));
    return line;
  }

  private static Point mean(Setting setting, String near, String testSet) {
    List<Map<String, Score>> scores = setting.complete().stream().map(Run::scores).toList();
    return new Point(percentage(scores, near), percentage(scores, testSet));
  }

  /** Returns the mean; NaN if there are no scores. */
  private static double percentage(List<Map<String, Score>> scores, String testSet) {
    return Statistics.mean(
        scores.stream()
            .map(ofRun -> ofRun.get(testSet))
            .filter(Objects::nonNull)
            .mapToDouble(score -> 100 * score.accuracy())
            .toArray());
  }

  private static boolean finite(Point point) {
    return Double.isFinite(point.x()) && Double.isFinite(point.y());
  }
}
