package io.spd4j.finetune.report;

import java.awt.Color;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.internal.chartpart.IChart;

/** Draws XChart's charts as SVG, as a part of a page or as a file. */
public final class ChartSvg {
  private static final Pattern PALETTE_COLOR = Pattern.compile("rgb\\(0,0,([1-9]\\d?)\\)");
  private static final Pattern CLIP = Pattern.compile("\\bclip(\\d+)");
  private static final String TOP = "y=\"0px\"";

  /** The decimals of a coordinate after the second: in a tag, not in a text. */
  private static final Pattern LONG_DECIMAL = Pattern.compile("(\\.\\d\\d)\\d+(?=[^<>]*>)");

  private ChartSvg() {}

  /** A colour in the style sheet. Those of the light mode come first. */
  private static final Pattern CSS_COLOR = Pattern.compile("--chart-(\\d+): (#[0-9a-f]{6});");

  /**
   * Returns a colour of the palette for XChart, which writes it as rgb(0,0,n). That is later
   * replaced by the page's colour for light or dark mode.
   */
  public static Color color(int color) {
    return new Color(0, 0, color);
  }

  /**
   * Draws a chart as a part of a page.
   *
   * @param id the chart's unique id in the page
   */
  static String of(IChart chart, String id) {
    return PALETTE_COLOR.matcher(part(chart, id)).replaceAll("var(--chart-$1)");
  }

  private static String part(IChart chart, String id) {
    String file = draw(chart);
    String svg = file.substring(file.indexOf("<svg"));
    return CLIP.matcher(svg).replaceAll(id + "-$1");
  }

  /** Draws a chart as a separate file, in the colours of the light mode. */
  public static String file(IChart chart) {
    return light(draw(chart));
  }

  /** Draws charts of one width below each other as a separate file. */
  static String column(List<? extends IChart> charts) {
    StringBuilder parts = new StringBuilder();
    int height = 0;
    for (IChart chart : charts) {
      parts.append(part(chart, "chart-" + height).replaceFirst(TOP, "y=\"" + height + "px\""));
      height += chart.getHeight();
    }
    String size = "width=\"%d\" height=\"%d\"".formatted(charts.getFirst().getWidth(), height);
    return light("<svg xmlns=\"http://www.w3.org/2000/svg\" " + size + ">" + parts + "</svg>\n");
  }

  private static String light(String svg) {
    Map<String, String> colors = new HashMap<>();
    CSS_COLOR
        .matcher(Palette.styleSheet())
        .results()
        .forEach(color -> colors.putIfAbsent(color.group(1), color.group(2)));
    return PALETTE_COLOR.matcher(svg).replaceAll(color -> colors.get(color.group(1)));
  }

  private static String draw(IChart chart) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      ChartEncoder.saveChart(chart, out, "svg");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return LONG_DECIMAL.matcher(out.toString(StandardCharsets.UTF_8)).replaceAll("$1");
  }
}
