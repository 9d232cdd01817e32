package io.spd4j.bench.report;

import java.awt.Color;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;
import org.knowm.xchart.ChartEncoder;
import org.knowm.xchart.internal.chartpart.IChart;

/** XChart's SVG as a part of the page. */
final class ChartSvg {
  private static final Pattern PALETTE_COLOR = Pattern.compile("rgb\\(0,0,([1-9]\\d?)\\)");
  private static final Pattern CLIP = Pattern.compile("\\bclip(\\d+)");
  private static final Pattern LONG_DECIMAL = Pattern.compile("(\\.\\d\\d)\\d+");

  private ChartSvg() {}

  /**
   * A colour of the palette, for XChart. It is written as rgb(0,0,n), and then replaced by what the
   * page has for the light or dark mode that it is shown in.
   */
  static Color color(int color) {
    return new Color(0, 0, color);
  }

  /**
   * Draws a chart.
   *
   * @param id of its own in the page
   */
  static String of(IChart chart, String id) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try {
      ChartEncoder.saveChart(chart, out, "svg");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    String file = out.toString(StandardCharsets.UTF_8);
    String svg = file.substring(file.indexOf("<svg"));
    svg = PALETTE_COLOR.matcher(svg).replaceAll("var(--chart-$1)");
    svg = CLIP.matcher(svg).replaceAll(id + "-$1");
    return LONG_DECIMAL.matcher(svg).replaceAll("$1");
  }
}
