package io.spd4j.finetune.report;

import static io.spd4j.finetune.report.PairedRuns.report;
import static io.spd4j.finetune.report.PairedRuns.run;
import static io.spd4j.finetune.report.PairedRuns.setup;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PairedTablesTest {
  @Test
  void hasARowForEachSettingAndMeasure() {
    String markdown =
        markdown(
            run("AdamW", 0.01, 1, 90, 20, 2),
            run("AdamW", 0.01, 2, 95, 30, 4),
            run("AdamW", 0.01, 3, 91, 25, 2.5),
            run("SPD", 1, 1, 91, 19, 1),
            run("SPD", 1, 2, 95, 31, 1),
            run("SPD", 1, 3, 93, 25, 2),
            run("L2-SP, coupled", 0.5, 1, 89, -1, 0.5),
            run("L2-SP, coupled", 0.5, 2, 94, 30, 0.5));

    assertThat(markdown)
        .startsWith(
            """
            Compared with AdamW, λ = 0.01, seed by seed:

            | rule                    | measure      | seeds | mean difference |     95% interval | + / − / ties |     p |
            |:------------------------|:-------------|------:|----------------:|-----------------:|-------------:|------:|
            | SPD, λ = 1              | id, points   |     3 |           +1.00 |   +0.00 to +2.00 |    2 / 0 / 1 | 0.500 |
            | SPD, λ = 1              | hard, points |     3 |           +0.00 |   -2.00 to +2.00 |    1 / 1 / 1 | 1.000 |
            | SPD, λ = 1              | ‖θ−θ0‖       |     3 | -1.500 (-48.3%) | -3.000 to -0.500 |    0 / 3 / 0 | 0.250 |
            | L2-SP, coupled, λ = 0.5 | id, points   |     2 |           -1.00 |   -1.00 to -1.00 |    0 / 2 / 0 | 0.500 |
            | L2-SP, coupled, λ = 0.5 | hard, points |     1 |               – |                – |            – |     – |
            | L2-SP, coupled, λ = 0.5 | ‖θ−θ0‖       |     2 | -2.500 (-81.3%) | -3.500 to -1.500 |    0 / 2 / 0 | 0.500 |

            A run is compared with AdamW's run of the same seed\
            """
                .indent(0)
                .stripTrailing());
    assertThat(markdown)
        .contains(
            "With 3 seeds it cannot be below 0.250, whatever the rule does: too few for p < 0.05, "
                + "which needs 6.",
            "There are 5 rows with a p.");
  }

  @Test
  void hasARowForTheLossOfEachTest() {
    List<Run> runs = new ArrayList<>();
    for (int seed = 1; seed <= 3; seed++) {
      for (String rule : List.of("AdamW", "SPD")) {
        Run run = run(rule, 1, seed, 90, 20, 2);
        double loss = rule.equals("SPD") ? 0.125 : 0.125 * seed;
        runs.add(
            new Run(
                run.setup(),
                seed,
                1,
                true,
                Map.of("id", new Score(90, 100, loss), "hard", new Score(9, 10, Double.NaN)),
                2,
                run.history(),
                null,
                null,
                List.of()));
      }
    }

    assertThat(markdown(runs.toArray(Run[]::new)))
        .contains("| SPD, λ = 1 | id, loss     |     3 |         -0.1250 | -0.2500 to +0.0000 |")
        .contains("0 / 2 / 1 | 0.500 |")
        .doesNotContain("hard, loss");
  }

  @Test
  void enoughSeedsHaveASmallP() {
    List<Run> runs = new ArrayList<>();
    for (int seed = 1; seed <= 11; seed++) {
      runs.add(run("AdamW", 0.01, seed, 90, -1, Double.NaN));
      runs.add(run("SPD", 1, seed, 91, -1, Double.NaN));
    }
    String eleven = markdown(runs.toArray(Run[]::new));
    String six = markdown(runs.subList(0, 12).toArray(Run[]::new));

    assertThat(eleven).contains("|   11 / 0 / 0 | < 0.001 |");
    assertThat(eleven).contains("With 11 seeds it cannot be below 0.000977.\n");
    assertThat(six).contains("|    6 / 0 / 0 | 0.031 |");
    assertThat(six).contains("With 6 seeds it cannot be below 0.0313.\n");
    assertThat(six).doesNotContain("hard");
    assertThat(six).doesNotContain("rows with a p").doesNotContain("NaN");
  }

  @Test
  void hasATableForEachState() {
    assertThat(
            new PairedTables(
                    report(
                        run(setup("AdamW", 0.01, "float32"), 1, true, 90, 20, 2),
                        run(setup("AdamW", 0.01, "float32"), 2, true, 90, 20, 2),
                        run(setup("SPD", 1, "float32"), 1, true, 91, 20, 2),
                        run(setup("SPD", 1, "float32"), 2, true, 91, 20, 2),
                        run(setup("AdamW", 0.1, "8bit"), 1, true, 80, 20, 2),
                        run(setup("AdamW", 0.1, "8bit"), 2, true, 80, 20, 2),
                        run(setup("SPD", 1, "8bit"), 1, true, 83, 20, 2),
                        run(setup("SPD", 1, "8bit"), 2, true, 83, 20, 2)))
                .tables())
        .extracting(PairedTables.Table::title)
        .containsExactly(
            "Compared with AdamW, λ = 0.01; state: float32",
            "Compared with AdamW, λ = 0.1; state: 8bit");
  }

  @Test
  void hasATableForEachKindOfData() {
    Setup adamw = new Setup("AdamW", 0.01, 5e-5, "float32", "300 mails");
    Setup spd = new Setup("SPD", 1, 5e-5, "float32", "300 mails");
    assertThat(
            new PairedTables(
                    report(
                        run("AdamW", 0.01, 1, 90, 20, 2),
                        run("AdamW", 0.01, 2, 90, 20, 2),
                        run("SPD", 1, 1, 90, 20, 2),
                        run("SPD", 1, 2, 90, 20, 2),
                        run(adamw, 1, true, 80, 20, 2),
                        run(adamw, 2, true, 80, 20, 2),
                        run(spd, 1, true, 86, 20, 2),
                        run(spd, 2, true, 86, 20, 2)))
                .tables())
        .extracting(PairedTables.Table::title)
        .containsExactly(
            "Compared with AdamW, λ = 0.01; data: plain",
            "Compared with AdamW, λ = 0.01; data: 300 mails");
  }

  @Test
  void aDistanceOf0HasNoPercentage() {
    assertThat(
            markdown(
                run("AdamW", 0, 1, 90, 20, 0),
                run("AdamW", 0, 2, 90, 20, 0),
                run("SPD", 1, 1, 90, 20, 1),
                run("SPD", 1, 2, 90, 20, 1)))
        .contains("|          +1.000 | +1.000 to +1.000 |");
  }

  @Test
  void saysWhichAdamwIsComparedWith() {
    Run[] one = {
      run("AdamW", 0.01, 1, 90, 20, 2),
      run("AdamW", 0.01, 2, 90, 20, 2),
      run("SPD", 1, 1, 90, 20, 2),
      run("SPD", 1, 2, 90, 20, 2)
    };
    List<Run> several = new ArrayList<>(List.of(one));
    several.add(run("AdamW", 0.1, 1, 89, 20, 2));
    several.add(run("AdamW", 0.1, 2, 89, 20, 2));

    assertThat(markdown(one)).doesNotContain("Of AdamW's settings");
    assertThat(markdown(several.toArray(Run[]::new)))
        .startsWith("Compared with AdamW, λ = 0.01, seed by seed:")
        .contains("| AdamW, λ = 0.1 |", "Of AdamW's settings");
  }

  @Test
  void withoutPairsThereIsNothing() {
    assertThat(markdown()).isEmpty();
    assertThat(markdown(run("AdamW", 0.01, 1, 90, 20, 2), run("SPD", 1, 1, 90, 20, 2))).isEmpty();
  }

  @Test
  void theSameReportGivesTheSameText() {
    FinetuneReport report = SampleReport.sweep(3, 4);

    assertThat(new PairedTables(report).markdown()).isEqualTo(new PairedTables(report).markdown());
  }

  private static String markdown(Run... runs) {
    return new PairedTables(report(runs)).markdown();
  }
}
