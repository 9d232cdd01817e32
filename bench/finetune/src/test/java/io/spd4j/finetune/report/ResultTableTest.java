package io.spd4j.finetune.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class ResultTableTest {
  private static final List<String> TEST_SETS = List.of("in-distribution", "hard");

  @Test
  void hasARowForEachRuleAndLambdaAndForEachInterruptedRun() {
    String markdown =
        table(
            run("AdamW", 0.01, 1, true, Map.of("in-distribution", score(90), "hard", score(70)), 2),
            run("SPD", 1, 1, true, Map.of("in-distribution", score(96), "hard", score(80)), 1),
            run("SPD", 1, 2, true, Map.of("in-distribution", score(98), "hard", score(80)), 1.5),
            run("SPD", 1, 3, false, Map.of(), 0.25),
            run("SPD", 0.5, 1, true, Map.of("in-distribution", score(97)), Double.NaN));

    assertThat(markdown)
        .startsWith(
            """
            | rule                                       |  seeds | in-distribution |          hard |        ‖θ−θ0‖ | ms per step | ms in optimizer | tokens per s |
            |:-------------------------------------------|-------:|----------------:|--------------:|--------------:|------------:|----------------:|-------------:|
            | AdamW, λ = 0.01                            |      1 |          90.00% |        70.00% |         2.000 |       100.0 |            3.00 |         6060 |
            | SPD, λ = 1                                 |      2 |   97.00% ± 1.41 | 80.00% ± 0.00 | 1.250 ± 0.354 | 101.5 ± 0.7 |     3.00 ± 0.00 |    5971 ± 42 |
            | SPD, λ = 1, interrupted after 2 of 4 steps | seed 3 |               – |             – |         0.250 |       103.0 |            3.00 |         5883 |
            | SPD, λ = 0.5                               |      1 |          97.00% |             – |           NaN |       101.0 |            3.00 |         6000 |

            """
                .indent(0));
  }

  @Test
  void severalStatesHaveAColumnAndRowsOfTheirOwn() {
    String markdown =
        table(
            run("SPD", 1, "float32", 1, true, Map.of("hard", score(80)), 1),
            run("SPD", 1, "8bit", 1, true, Map.of("hard", score(79)), 2),
            run("SPD", 1, "float32", 2, true, Map.of("hard", score(82)), 3));

    assertThat(markdown)
        .startsWith(
            """
            | rule       | state   | seeds | in-distribution |          hard |        ‖θ−θ0‖ | ms per step | ms in optimizer | tokens per s |
            |:-----------|:--------|------:|----------------:|--------------:|--------------:|------------:|----------------:|-------------:|
            | SPD, λ = 1 | float32 |     2 |               – | 81.00% ± 1.41 | 2.000 ± 1.414 | 101.5 ± 0.7 |     3.00 ± 0.00 |    5971 ± 42 |
            | SPD, λ = 1 | 8bit    |     1 |               – |        79.00% |         2.000 |       101.0 |            3.00 |         6000 |

            """
                .indent(0));
  }

  @Test
  void theNoteSaysHowMuchIsPadding() {
    String markdown =
        table(run("SPD", 1, 1, true, Map.of(), 1), run("SPD", 1, 2, true, Map.of(), 1));

    assertThat(markdown)
        .contains("without padding, which was 5.3% of what was computed; with several seeds");
  }

  @Test
  void escapesTheColumnSeparator() {
    String markdown = table(run("a|b\nc", 1, 1, true, Map.of(), 1));

    assertThat(markdown.lines().limit(3))
        .hasSize(3)
        .allMatch(line -> line.endsWith(" |") || line.endsWith(":|"));
    assertThat(markdown).contains("| a\\|b c, λ = 1 |");
  }

  private static String table(Run... runs) {
    return new ResultTable(
            new FinetuneReport(
                "title",
                Map.of(),
                new Machine("cpu", 1, "jdk", "os"),
                Instant.EPOCH,
                TEST_SETS,
                List.of(runs),
                List.of()))
        .markdown();
  }

  private static Score score(int correct) {
    return new Score(correct, 100, 0.25);
  }

  private static Run run(
      String rule,
      double lambda,
      long seed,
      boolean complete,
      Map<String, Score> scores,
      double deviation) {
    return run(rule, lambda, "float32", seed, complete, scores, deviation);
  }

  private static Run run(
      String rule,
      double lambda,
      String state,
      long seed,
      boolean complete,
      Map<String, Score> scores,
      double deviation) {
    History history = new History(List.of(), List.of());
    for (int i = 0; i < (complete ? 4 : 2); i++) {
      double millis = 100 + seed * (rule.equals("SPD") ? 1 : 0);
      history.add(new History.Step(0.5, 1, 1e-5, millis, 3, 606, 34, new BitSet()));
    }
    return new Run(
        new Setup(rule, lambda, 5e-5, state, ""),
        seed,
        4,
        complete,
        scores,
        deviation,
        history,
        null,
        null,
        List.of());
  }
}
