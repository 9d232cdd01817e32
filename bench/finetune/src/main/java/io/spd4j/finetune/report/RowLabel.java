package io.spd4j.finetune.report;

import java.awt.Font;
import java.awt.Graphics2D;
import org.knowm.xchart.internal.chartpart.Annotation;

/**
 * The name of a row of a chart, inside at its left, above what is drawn there. XChart's labels
 * beside the axis must be short: from 21 characters on, it looks for a place without end.
 */
final class RowLabel extends Annotation {
  private static final Font FONT = new Font(Font.SANS_SERIF, Font.PLAIN, 11);

  private final String text;
  private final double top;

  /**
   * @param top the row's upper edge on the y axis
   */
  RowLabel(String text, double top) {
    super(false);
    this.text = text;
    this.top = top;
  }

  @Override
  public void paint(Graphics2D g) {
    g.setColor(ChartSvg.color(Palette.INK));
    g.setFont(FONT);
    g.drawString(text, getXAxisScreenValueForMin() + 2, getYAxisScreenValue(top) + FONT.getSize());
  }
}
