package io.spd4j.bench.compare;

import io.spd4j.bench.compare.CaseResult.Entry;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.report.ChartStyle;
import io.spd4j.finetune.report.ChartStyle.Point;
import io.spd4j.finetune.report.ChartSvg;
import java.awt.BasicStroke;
import java.awt.Color;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.LongToDoubleFunction;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.XYChart;

/** The charts of a run, drawn by XChart. Only this class loads AWT. */
final class BenchCharts {
  static {
    // Must precede the loading of AWT, which otherwise looks for a display.
    System.setProperty("java.awt.headless", "true");
  }

  private static final int WIDTH = 1000;
  private static final int HEIGHT = 420;
  private static final BasicStroke DASHED =
      new BasicStroke(1.8f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND, 1, new float[] {4, 3}, 0);

  private BenchCharts() {}

  /** Returns SVG files by name, without an extension. */
  static Map<String, String> of(Bench bench) {
    Map<String, String> charts = new LinkedHashMap<>();
    int threads = bench.mostThreads();
    bench.cases().stream()
        .map(c -> c.step().shape())
        .distinct()
        .forEach(shape -> {
          List<CaseResult> cases =
              bench.cases().stream()
                  .filter(c -> c.step().shape().equals(shape) && c.step().threads() == threads)
                  .filter(c -> c.step().state().equals(State.FLOAT32))
                  .toList();
          charts.put(shape.name().replaceAll("\\W", "-"), ChartSvg.file(bars(cases)));
        });
    if (!bench.curve().isEmpty()) {
      charts.put("curve", ChartSvg.file(curve(bench.curve(), "µs per step", numel -> 1e3)));
      charts.put(
          "curve-per-parameter",
          ChartSvg.file(curve(bench.curve(), "ns per parameter", numel -> numel)));
    }
    return charts;
  }

  /** Draws a group of bars for each rule. */
  private static CategoryChart bars(List<CaseResult> cases) {
    StepCase step = cases.getFirst().step();
    boolean large =
        cases.stream()
            .flatMap(c -> c.measured(Competitors.NATIVE).stream())
            .anyMatch(e -> e.nanos().median() >= 1e6);
    CategoryChart chart = ChartStyle.categories(WIDTH, HEIGHT, (large ? "ms" : "µs") + " per step");
    chart.setTitle(step.shape().name() + ", " + step.threadsName());
    chart.getStyler().setYAxisMin(0.0);
    chart.getStyler().setLabelsVisible(true).setLabelsPosition(1);
    ChartStyle.withLegend(chart.getStyler());
    List<String> rules = cases.stream().map(c -> c.step().ruleName()).toList();
    names(cases).stream()
        .filter(name -> !name.equals(Competitors.SCALAR)) // would make all others look small
        .forEach(name -> {
          List<Double> times = new ArrayList<>();
          for (CaseResult result : cases) {
            times.add(
                result
                    .measured(name)
                    .filter(e -> e.rule() == result.step().rule())
                    .map(e -> rounded(e.nanos().median() / (large ? 1e6 : 1e3)))
                    .orElse(null));
          }
          if (times.stream().anyMatch(Objects::nonNull)) {
            chart.addSeries(name, rules, times).setFillColor(color(name));
          }
        });
    return chart;
  }

  /** Rounds a value, because the bars' labels show all digits. */
  private static double rounded(double value) {
    return Double.parseDouble(Units.digits(value));
  }

  /**
   * Draws lines over the number of parameters, dashed for one thread.
   *
   * @param unit what nanoseconds are divided by
   */
  private static XYChart curve(List<CaseResult> cases, String title, LongToDoubleFunction unit) {
    XYChart chart = ChartStyle.decades(WIDTH, HEIGHT, "parameters", title);
    chart.setTitle("AdamW on one tensor");
    ChartStyle.withLegend(chart.getStyler());
    for (int threads : cases.stream().map(c -> c.step().threads()).distinct().sorted().toList()) {
      List<CaseResult> same = cases.stream().filter(c -> c.step().threads() == threads).toList();
      for (String name : names(same)) {
        String label = name + ", " + same.getFirst().step().threadsName();
        List<Point> points = new ArrayList<>();
        for (CaseResult result : same) {
          long numel = result.step().shape().numel();
          result
              .measured(name)
              .map(e -> new Point(numel, e.nanos().median() / unit.applyAsDouble(numel)))
              .ifPresent(points::add);
        }
        ChartStyle.add(chart, label, color(name), points);
        if (threads == 1) {
          chart.getSeries(label).setLineStyle(DASHED);
        }
      }
    }
    return chart;
  }

  private static List<String> names(List<CaseResult> cases) {
    return cases.stream()
        .flatMap(c -> c.entries().stream().filter(Entry::measured).map(Entry::name))
        .distinct()
        .toList();
  }

  /** Our backends are blue, C is grey, PyTorch orange, the rest green. */
  private static Color color(String name) {
    return new Color(
        switch (name) {
          case Competitors.NATIVE -> 0x0072b2;
          case Competitors.VECTOR -> 0x3a9fd6;
          case Competitors.SCALAR -> 0x8fd0f5;
          case Competitors.RMW -> 0xc4cad2;
          case Competitors.COPY -> 0xdfe3e9;
          case Competitors.PLAIN_ADAMW -> 0x8c96a3;
          case Competitors.FUSED -> 0xd55e00;
          case Competitors.FOREACH -> 0xe8853a;
          case Competitors.EAGER -> 0xf2b183;
          case Competitors.COMPILED -> 0x9c4500;
          case "djl-adam" -> 0x009e73;
          case "libtorch-fused" -> 0x5cbf9f;
          default -> 0x8a7300;
        });
  }
}
