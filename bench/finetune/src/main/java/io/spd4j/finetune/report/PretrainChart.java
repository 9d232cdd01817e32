package io.spd4j.finetune.report;

import io.spd4j.finetune.report.ChartStyle.Point;
import java.awt.Color;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiFunction;
import org.knowm.xchart.XYChart;

/** Draws the losses of all states, and how far they are from those of the first. */
final class PretrainChart {
  static {
    // Must precede the loading of AWT, which otherwise looks for a display.
    System.setProperty("java.awt.headless", "true");
  }

  private static final int WIDTH = 1000;
  private static final int HEIGHT = 320;

  /** The largest number of points of a line. */
  private static final int MAX_POINTS = 100;

  private PretrainChart() {}

  /** Returns the picture as a file. There must be a run. */
  static String svg(PretrainReport report) {
    String first = report.states().getFirst();
    List<XYChart> charts = new ArrayList<>();
    charts.add(chart(report, "loss", (curve, at) -> curve.loss(at[0], at[1])));
    if (report.states().size() > 1) {
      charts.add(
          chart(
              report,
              "difference from " + first + ", %",
              (curve, at) ->
                  report
                      .reference(curve)
                      .map(r -> 100 * (curve.loss(at[0], at[1]) / r.loss(at[0], at[1]) - 1))
                      .orElse(Double.NaN)));
    }
    return ChartSvg.column(charts);
  }

  /**
   * Returns a chart with a line for each state.
   *
   * @param value of a run, in steps from and up to, counted from 0
   */
  private static XYChart chart(
      PretrainReport report, String title, BiFunction<Curve, int[], Double> value) {
    int steps = report.curves().getFirst().steps().size();
    int perPoint = Math.ceilDiv(steps, MAX_POINTS);
    XYChart chart = ChartStyle.steps(WIDTH, HEIGHT, title, steps);
    chart.getStyler().setYAxisMin(null);
    ChartStyle.withLegend(chart.getStyler());
    for (String state : report.states()) {
      List<Point> points = new ArrayList<>();
      for (int from = 0; from < steps; from += perPoint) {
        int[] at = {from, Math.min(steps, from + perPoint)};
        double mean =
            Statistics.mean(
                report.of(state).stream().mapToDouble(c -> value.apply(c, at)).toArray());
        points.add(new Point((at[0] + 1 + at[1]) / 2.0, mean));
      }
      Color color = ChartSvg.color(Palette.ofSeries(report.states().indexOf(state)));
      ChartStyle.add(chart, state, color, points);
    }
    return chart;
  }
}
