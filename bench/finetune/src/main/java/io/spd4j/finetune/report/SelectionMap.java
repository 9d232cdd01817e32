package io.spd4j.finetune.report;

import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.jsoup.nodes.Element;

/**
 * A map of what a rule selected in which step: a row for every tensor, a column for every step, or
 * for several steps if there are many. Made of SVG lines and text, without AWT.
 */
final class SelectionMap {
  private static final int MAX_COLUMNS = 120;
  private static final int SHADES = 10;

  // Pixels.
  private static final int LABEL_X = 90;
  private static final int CELLS_X = 300;
  private static final int CELLS_WIDTH = 660;
  private static final int SHARE_X = 1000;
  private static final int ROW = 14;
  private static final int GAP = 8;

  private final History history;
  private final int steps;
  private final int columns;
  private final Svg svg = new Svg();

  private SelectionMap(History history) {
    this.history = history;
    steps = history.steps().size();
    columns = Math.min(steps, MAX_COLUMNS);
  }

  /**
   * Returns the map of a run that took steps and has tensors to select from.
   *
   * @param color the cells' colour in CSS
   */
  static Figure of(Run run, String color) {
    SelectionMap map = new SelectionMap(run.history());
    String drawing = map.draw(color);
    String columns =
        map.columns == map.steps
            ? "each column a step, coloured where "
            : String.format(
                Locale.ROOT,
                "each column stands for about %.1f steps, coloured more strongly the more of "
                    + "them there are in which ",
                (double) map.steps / map.columns);
    String caption =
        "Each row is a tensor and %s%s selected it, that is, moving it back towards its "
            + "pre-trained values (an adapter: towards 0) would also have lowered the loss; the "
            + "share of all steps is on the right. A tensor that is not selected keeps Adam's "
            + "update: that is the method, not a fault.";
    String title = run.setup().label() + ", seed " + run.seed();
    return new Figure(
        "What " + run.setup().rule() + " selected",
        caption.formatted(columns, run.setup().rule()),
        List.of(),
        List.of(new Figure.Panel(title, drawing)));
  }

  private String draw(String color) {
    Element cells =
        Svg.add(svg.root(), "g")
            .attr(
                "transform",
                String.format(
                    Locale.ROOT,
                    "translate(%d 0) scale(%.4f 1)",
                    CELLS_X,
                    (double) CELLS_WIDTH / columns))
            .attr("stroke-width", Integer.toString(ROW - 1));
    StringBuilder rows = new StringBuilder();
    StringBuilder[] shades =
        Stream.generate(StringBuilder::new).limit(SHADES + 1).toArray(StringBuilder[]::new);
    int y = 0;
    String layer = null;
    for (int i = 0; i < history.tensors().size(); i++) {
      TensorName name = TensorName.of(history.tensors().get(i));
      if (!name.layer().equals(layer)) {
        y += layer == null ? 0 : GAP;
        layer = name.layer();
        svg.text(0, y, "start", layer).addClass("layer");
      }
      svg.text(LABEL_X, y, "start", name.label());
      svg.text(SHARE_X, y, "end", String.format(Locale.ROOT, "%.1f%%", 100 * share(i, 0, steps)));
      double middle = y + ROW / 2.0;
      rows.append("M0 %sh%d".formatted(middle, columns));
      for (int column = 0; column < columns; column++) {
        // Rounds up, so that even a rare selection shows.
        double shade = Math.ceil(SHADES * share(i, firstStep(column), firstStep(column + 1)));
        shades[(int) shade].append("M%d %sh1".formatted(column, middle));
      }
      y += ROW;
    }
    Svg.add(cells, "path").addClass("blank").attr("d", rows.toString());
    for (int shade = 1; shade <= SHADES; shade++) {
      Svg.add(cells, "path")
          .attr("stroke", color)
          .attr("stroke-opacity", Double.toString((double) shade / SHADES))
          .attr("d", shades[shade].toString());
    }
    svg.text(CELLS_X, y, "start", "step 1");
    svg.text(CELLS_X + CELLS_WIDTH, y, "end", "step " + steps);
    int height = y + ROW + GAP;
    return svg.sized(SHARE_X, height);
  }

  private int firstStep(int column) {
    return (int) ((long) column * steps / columns);
  }

  /** Returns the share of the steps in which a tensor was selected. */
  private double share(int tensor, int from, int to) {
    long selected =
        history.steps().subList(from, to).stream()
            .filter(step -> step.selected().get(tensor))
            .count();
    return (double) selected / (to - from);
  }
}
