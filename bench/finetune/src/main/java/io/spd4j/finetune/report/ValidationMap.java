package io.spd4j.finetune.report;

import io.spd4j.finetune.cli.Rule;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jsoup.nodes.Element;

/**
 * Heat maps of the trials by which λ and the learning rate were chosen: one for each rule and kind
 * of data, with a row for every λ and a column for every learning rate.
 */
final class ValidationMap {
  // Pixels.
  private static final int CELLS_X = 70;
  private static final int CELL_WIDTH = 96;
  private static final int CELL_HEIGHT = 40;
  private static final int GAP = 3;
  private static final int LINE = 14;

  /** The opacity of the best cell; more would hide the text. */
  private static final double STRONGEST = 0.55;

  private ValidationMap() {}

  /** Returns the maps; without panels if the report has no trials. */
  static Figure of(FinetuneReport report) {
    Map<Task, List<Run>> byTask = new LinkedHashMap<>();
    for (Run trial : report.trials()) {
      if (trial.validation() != null) {
        byTask.computeIfAbsent(new Task(trial.setup()), task -> new ArrayList<>()).add(trial);
      }
    }
    List<Figure.Panel> panels = new ArrayList<>();
    byTask.forEach(
        (task, trials) -> panels.add(new Figure.Panel(task.title(), draw(report, task, trials))));
    return new Figure(
        "How λ and the learning rate were chosen",
        "The mean loss and accuracy on the validation mails, which are training mails held back; no "
            + "test mail was looked at. Rows are strengths, columns learning rates; the stronger the "
            + "colour, the lower the loss. The setting in the frame was then tested.",
        List.of(),
        panels);
  }

  private record Task(String rule, String data) {
    Task(Setup setup) {
      this(setup.rule(), setup.data());
    }

    String title() {
      return data.isEmpty() ? rule : rule + ", " + data;
    }
  }

  private static String draw(FinetuneReport report, Task task, List<Run> trials) {
    List<Double> lambdas =
        trials.stream().map(t -> t.setup().lambda()).distinct().sorted().toList();
    List<Double> lrs = trials.stream().map(t -> t.setup().lr()).distinct().sorted().toList();
    Map<Setup, List<Score>> bySetup = new LinkedHashMap<>();
    trials.forEach(
        t -> bySetup.computeIfAbsent(t.setup(), setup -> new ArrayList<>()).add(t.validation()));
    double[] losses =
        bySetup.values().stream()
            .mapToDouble(ValidationMap::loss)
            .filter(Double::isFinite)
            .toArray();
    double best = Statistics.quantile(losses, 0);
    double worst = Statistics.quantile(losses, 1);
    String color = Palette.css(Palette.ofRule(report, task.rule()));
    Svg svg = new Svg();
    for (int column = 0; column < lrs.size(); column++) {
      svg.text(center(column), 0, "middle", "lr = " + withLr(trials, lrs.get(column)));
    }
    for (int row = 0; row < lambdas.size(); row++) {
      double lambda = lambdas.get(row);
      int y = LINE + GAP + row * (CELL_HEIGHT + GAP);
      svg.text(
          CELLS_X - 2 * GAP,
          y + LINE,
          "end",
          trials.getFirst().setup().symbol() + " = " + Rule.number(lambda));
      for (int column = 0; column < lrs.size(); column++) {
        double lr = lrs.get(column);
        List<Setup> setups =
            bySetup.keySet().stream().filter(s -> s.lambda() == lambda && s.lr() == lr).toList();
        if (!setups.isEmpty()) {
          Setup setup = setups.getFirst();
          boolean chosen = report.runs().stream().anyMatch(run -> run.setup().equals(setup));
          List<Score> validations = bySetup.get(setup);
          double loss = loss(validations);
          double goodness = worst > best ? (worst - loss) / (worst - best) : 1;
          cell(svg, column, y, color, Double.isFinite(loss) ? goodness : 0, chosen);
          svg.text(center(column), y + 4, "middle", number("%.4f", loss));
          svg.text(
              center(column),
              y + 4 + LINE,
              "middle",
              number("%.2f%%", 100 * accuracy(validations)));
        }
      }
    }
    int width = CELLS_X + lrs.size() * (CELL_WIDTH + GAP) + GAP;
    return svg.sized(width, LINE + 2 * GAP + lambdas.size() * (CELL_HEIGHT + GAP));
  }

  private static void cell(
      Svg svg, int column, int y, String color, double goodness, boolean framed) {
    Element cell =
        Svg.add(svg.root(), "rect")
            .attr("x", Integer.toString(CELLS_X + column * (CELL_WIDTH + GAP)))
            .attr("y", Integer.toString(y))
            .attr("width", Integer.toString(CELL_WIDTH))
            .attr("height", Integer.toString(CELL_HEIGHT))
            .attr("fill", color)
            .attr("fill-opacity", number("%.3f", 0.05 + (STRONGEST - 0.05) * goodness));
    if (framed) {
      cell.attr("stroke", Palette.css(Palette.INK)).attr("stroke-width", "2");
    }
  }

  private static int center(int column) {
    return CELLS_X + column * (CELL_WIDTH + GAP) + CELL_WIDTH / 2;
  }

  private static String withLr(List<Run> trials, double lr) {
    return trials.stream()
        .map(Run::setup)
        .filter(setup -> setup.lr() == lr)
        .findFirst()
        .orElseThrow()
        .learningRate();
  }

  private static double loss(List<Score> validations) {
    return Statistics.mean(validations.stream().mapToDouble(Score::loss).toArray());
  }

  private static double accuracy(List<Score> validations) {
    return Statistics.mean(validations.stream().mapToDouble(Score::accuracy).toArray());
  }

  private static String number(String format, double value) {
    return Double.isFinite(value) ? String.format(Locale.ROOT, format, value) : "not finite";
  }
}
