package io.spd4j.finetune.report;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.function.Function;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.internal.series.MarkerSeries;
import org.knowm.xchart.style.AxesChartStyler;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.lines.SeriesLines;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** Creates charts in one style and adds series to them. */
public final class ChartStyle {
  private static final Color TRANSPARENT = new Color(0, 0, 0, 0);

  /** A point of a line. */
  public record Point(double x, double y) {}

  private ChartStyle() {}

  /** Returns an empty chart with categories on its x axis. */
  public static CategoryChart categories(int width, int height, String yTitle) {
    CategoryChart chart = new CategoryChart(width, height);
    style(chart.getStyler());
    chart.setYAxisTitle(yTitle);
    return chart;
  }

  /** Returns an empty chart over steps. */
  static XYChart steps(int width, int height, String yTitle, int steps) {
    XYChart chart = new XYChart(width, height);
    style(chart.getStyler());
    // Ends the axis after the last point: for evenly spaced points, XChart draws every tick that
    // fits.
    chart.getStyler().setXAxisMin(0.0).setXAxisMax(1.01 * Math.max(1, steps)).setYAxisMin(0.0);
    chart.setXAxisTitle("step");
    chart.setYAxisTitle(yTitle);
    return chart;
  }

  /** Returns an empty chart with a row of 1 on the y axis for each label, the first one on top. */
  static XYChart rows(int width, int rowHeight, String xTitle, List<String> labels) {
    XYChart chart = new XYChart(width, 60 + rowHeight * labels.size());
    style(chart.getStyler());
    chart
        .getStyler()
        .setYAxisMin(-(double) labels.size())
        .setYAxisMax(0.0)
        .setYAxisTicksVisible(false)
        .setPlotGridVerticalLinesVisible(true)
        .setPlotGridHorizontalLinesVisible(false)
        .setMarkerSize(6);
    chart.setXAxisTitle(xTitle);
    for (int row = 0; row < labels.size(); row++) {
      chart.addAnnotation(new RowLabel(labels.get(row), -row));
    }
    return chart;
  }

  /** Returns an empty chart of the plane that has all points in it. */
  static XYChart plane(int width, int height, String xTitle, String yTitle, List<Point> points) {
    XYChart chart = new XYChart(width, height);
    style(chart.getStyler());
    DoubleSummaryStatistics x = points.stream().mapToDouble(Point::x).summaryStatistics();
    DoubleSummaryStatistics y = points.stream().mapToDouble(Point::y).summaryStatistics();
    double xMargin = Math.max(0.1, 0.12 * (x.getMax() - x.getMin()));
    double yMargin = Math.max(0.1, 0.12 * (y.getMax() - y.getMin()));
    chart.getStyler().setXAxisMin(x.getMin() - xMargin).setXAxisMax(x.getMax() + xMargin);
    chart.getStyler().setYAxisMin(y.getMin() - yMargin).setYAxisMax(y.getMax() + yMargin);
    chart.getStyler().setPlotGridVerticalLinesVisible(true);
    chart.setXAxisTitle(xTitle);
    chart.setYAxisTitle(yTitle);
    return chart;
  }

  /** Returns an empty chart with logarithmic axes. */
  public static XYChart decades(int width, int height, String xTitle, String yTitle) {
    XYChart chart = new XYChart(width, height);
    style(chart.getStyler());
    chart.getStyler().setXAxisLogarithmic(true).setYAxisLogarithmic(true);
    chart.setXAxisTitle(xTitle);
    chart.setYAxisTitle(yTitle);
    return chart;
  }

  private static void style(AxesChartStyler style) {
    Color ink = ChartSvg.color(Palette.INK);
    Color grid = ChartSvg.color(Palette.GRID);
    Font font = new Font(Font.SANS_SERIF, Font.PLAIN, 12);
    style
        .setAxisTickMarksColor(grid)
        .setAxisTickLabelsColor(ink)
        .setXAxisTickLabelsColor(ink)
        .setYAxisTickLabelsColor(ink)
        .setAxisTickLabelsFont(font)
        .setAxisTitleFont(font)
        .setErrorBarsColor(ink)
        .setPlotGridLinesColor(grid)
        .setPlotGridLinesStroke(new BasicStroke(1))
        .setPlotGridVerticalLinesVisible(false)
        .setPlotTicksMarksVisible(false)
        .setChartFontColor(ink)
        .setXAxisTitleColor(ink)
        .setYAxisTitleColor(ink)
        .setChartBackgroundColor(TRANSPARENT)
        .setPlotBackgroundColor(TRANSPARENT)
        .setPlotBorderVisible(false)
        .setLegendVisible(false)
        .setChartPadding(4)
        .setLocale(Locale.ROOT);
  }

  /** Adds a legend, for a chart that is a file of its own. */
  public static void withLegend(AxesChartStyler style) {
    style
        .setChartBackgroundColor(Color.WHITE)
        .setLegendVisible(true)
        .setLegendPosition(LegendPosition.OutsideE)
        .setLegendBorderColor(Color.WHITE);
  }

  /** Adds means with their standard deviations, if there are any. */
  static void add(
      CategoryChart chart,
      String name,
      Color color,
      List<String> categories,
      Function<String, double[]> valuesOf) {
    List<double[]> values = categories.stream().map(valuesOf).toList();
    List<Double> means = values.stream().map(v -> finite(Statistics.mean(v))).toList();
    List<Double> errors =
        values.stream().map(v -> finite(Statistics.standardDeviation(v))).toList();
    if (means.stream().anyMatch(Objects::nonNull)) {
      boolean spread = errors.stream().anyMatch(Objects::nonNull);
      style(
          chart.addSeries(name, categories, means, spread ? errors : null),
          color,
          SeriesMarkers.CIRCLE);
    }
  }

  /** Adds a line through the points that have finite values, if there are any. */
  public static void add(XYChart chart, String name, Color color, List<Point> points) {
    List<Point> finite = points.stream().filter(p -> Double.isFinite(p.y())).toList();
    if (!finite.isEmpty()) {
      double[] x = finite.stream().mapToDouble(Point::x).toArray();
      double[] y = finite.stream().mapToDouble(Point::y).toArray();
      Marker marker = finite.size() == 1 ? SeriesMarkers.CIRCLE : SeriesMarkers.NONE;
      style(chart.addSeries(name, x, y), color, marker);
    }
  }

  /** Adds separate points. */
  static void addPoints(
      XYChart chart, String name, Color color, Marker marker, double[] x, double[] y) {
    MarkerSeries series = chart.addSeries(name, x, y);
    style(series, color, marker);
    series.setLineStyle(SeriesLines.NONE);
  }

  private static void style(MarkerSeries series, Color color, Marker marker) {
    series.setMarker(marker).setMarkerColor(color);
    series.setLineColor(color).setLineStyle(new BasicStroke(1.8f)).setFillColor(color);
  }

  private static Double finite(double value) {
    return Double.isFinite(value) ? value : null;
  }
}
