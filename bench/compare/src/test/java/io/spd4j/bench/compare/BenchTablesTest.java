package io.spd4j.bench.compare;

import static io.spd4j.bench.compare.Benches.entry;
import static io.spd4j.bench.compare.Benches.result;
import static io.spd4j.finetune.cli.Rule.ADAMW;
import static io.spd4j.finetune.cli.Rule.SPD;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.bench.compare.Bench.Participant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

class BenchTablesTest {
  private static final Bench BENCH =
      Benches.of(
          List.of(
              result(
                  "one:1M",
                  SPD,
                  2,
                  entry(Competitors.NATIVE, SPD, 1e6, 2e6, 3e6),
                  entry(Competitors.RMW, SPD, 5e5, 1e6, 3e6),
                  entry(Competitors.COPY, SPD, 5e5, 5e5, 5e5),
                  entry(Competitors.FUSED, ADAMW, 2e6, 1e6, 9e6),
                  Benches.problem(Competitors.EAGER, SPD, "no memory"))),
          List.of(
              result("one:1000", ADAMW, 1, entry(Competitors.NATIVE, ADAMW, 350)),
              result("one:1000", ADAMW, 2, entry(Competitors.VECTOR, ADAMW, 1400))));

  private static final Bench OF_PEER =
      new Bench(
          BENCH.finished(),
          false,
          BENCH.machine(),
          List.of(new Participant("nd4j-adam", "1", null)),
          List.of(result("lora", ADAMW, 2, entry("nd4j-adam", ADAMW, 1))),
          List.of(),
          List.of(),
          List.of());

  @Test
  void aWorkloadHasARowForEachEntry() {
    assertThat(BenchTables.markdown(BENCH, List.of("bench-one-1M.svg")))
        .contains(
            """
            ![bench-one-1M.svg](bench-one-1M.svg)

            ## one:1M, 2 threads

            1.00 million parameters in one tensor.

            | step                     |               |                time | × spd4j-native | GB/s | of c-rmw | of c-copy | allocated |     RSS |
            |:-------------------------|:--------------|--------------------:|---------------:|-----:|---------:|----------:|----------:|--------:|
            | SPD, all selected        | spd4j-native  | 2.00 ms (1.50–2.50) |           1.00 | 22.0 |      69% |       55% |       0 B | 1.75 GB |
            | SPD, all selected        | c-rmw         | 1.00 ms (0.75–2.00) |           0.50 | 32.0 |     100% |       80% |         – | 1.75 GB |
            | SPD, all selected        | c-copy        |    500 µs (500–500) |           0.25 | 40.0 |     125% |      100% |         – | 1.75 GB |
            | SPD, all selected: AdamW | pytorch-fused | 2.00 ms (1.50–5.50) |           2.00 | 14.0 |      44% |       35% |         – | 1.75 GB |

            - pytorch-eager: no memory (SPD, all selected)
            """);
  }

  @Test
  void theCurveHasARowForEachNumberOfParameters() {
    assertThat(BenchTables.markdown(BENCH, List.of()))
        .contains(
            """
            | threads | parameters |     spd4j-native |        spd4j-vector |
            |--------:|-----------:|-----------------:|--------------------:|
            |       1 |      1,000 | 350 ns (350–350) |                   – |
            |       2 |      1,000 |                – | 1.40 µs (1.40–1.40) |
            """)
        .contains("| downcall       | 5.25 ns |")
        .contains("- spd4j-native: 1.0, v4; its results have the same bits")
        .contains("- pytorch-fused: absent. no torch");
    assertThat(BenchTables.markdown(OF_PEER, List.of()))
        .contains("- nd4j-adam: 1; its results differ by at most 2e-06 of what the steps change");
  }

  @Test
  void theFirstSecondHasARowForEachBackend() {
    assertThat(BenchTables.markdown(BENCH, List.of()))
        .contains(
            """
            | step                                 |              |     1st |    10th |   100th | at rest | 10th × spd4j-native | at rest × spd4j-native |
            |:-------------------------------------|:-------------|--------:|--------:|--------:|--------:|--------------------:|-----------------------:|
            | minilm, SPD, all selected, 2 threads | spd4j-native | 60.0 ms | 20.0 ms | 20.0 ms | 20.0 ms |                1.00 |                   1.00 |
            | minilm, SPD, all selected, 2 threads | spd4j-vector |  500 ms | 28.0 ms | 22.0 ms | 21.0 ms |                1.40 |                   1.05 |
            """);
  }

  @Test
  void thereIsAChartForEachShapeAndTheCurve() {
    Map<String, String> charts = BenchCharts.of(BENCH);

    assertThat(charts).containsOnlyKeys("one-1M", "curve", "curve-per-parameter");
    // The texts are drawn as outlines, so only the colours can be checked.
    assertThat(fills(charts.get("one-1M")))
        .contains("rgb(0,114,178)", "rgb(196,202,210)", "rgb(223,227,233)") // native, rmw, copy
        .contains("#414b59") // the style sheet's ink
        .doesNotContain("rgb(213,94,0)", "rgb(242,177,131)"); // fused stepped AdamW, eager failed
    assertThat(charts.get("curve").contains("stroke-dasharray:4,3")).isTrue();
  }

  private static Set<String> fills(String svg) {
    return Pattern.compile("fill:([^;]+);")
        .matcher(svg)
        .results()
        .map(fill -> fill.group(1))
        .collect(Collectors.toSet());
  }
}
