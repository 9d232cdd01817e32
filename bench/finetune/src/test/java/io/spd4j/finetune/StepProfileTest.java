package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.minilm.PartEvent;
import io.spd4j.finetune.minilm.Tiny;
import io.spd4j.finetune.minilm.Weights;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import jdk.jfr.Recording;
import org.junit.jupiter.api.Test;

class StepProfileTest {
  private static final TrainingOptions OPTIONS = Fixtures.tiny("--steps", "9", "--threads", "2");

  private static Map<String, List<Float>> trained() {
    try (Arena arena = Arena.ofShared()) {
      Weights pretrained = Tiny.encoder(arena, Tiny.CONFIG, 8);
      try (Model model = Fixtures.model(OPTIONS, pretrained, Rule.SPD, 1, 1)) {
        Fixtures.trainer(OPTIONS, model).train(() -> false, step -> {});
        return Tiny.values(model.weights());
      }
    }
  }

  @Test
  void aRecordedRunGivesTheSameBits() throws Exception {
    Map<String, List<Float>> alone = trained();
    try (Recording recording = StepProfile.recording()) {
      recording.start();
      Map<String, List<Float>> recorded = trained();
      recording.stop();
      assertThat(StepProfile.of(recording, 0).rows()).isNotEmpty();
      assertThat(recorded).isEqualTo(alone);
    }
  }

  @Test
  void theRowsAddUpToTheStep() throws Exception {
    try (Recording recording = StepProfile.recording()) {
      recording.start();
      trained();
      recording.stop();
      StepProfile profile = StepProfile.of(recording, 3);
      List<StepProfile.Row> rows = profile.rows();
      assertThat(rows.stream().mapToDouble(StepProfile.Row::millis).sum())
          .isCloseTo(profile.stepMillis(), within(1e-9 * profile.stepMillis()));
      assertThat(rows)
          .allMatch(row -> row.millis() > 0); // parts do not overlap, so a remainder is left
      Map<String, Double> calls =
          rows.stream()
              .collect(
                  Collectors.groupingBy(
                      row -> row.operation().replaceAll(" [0-9(].*", ""),
                      Collectors.summingDouble(StepProfile.Row::calls)));
      double layers = Tiny.CONFIG.layers();
      assertThat(calls)
          .containsEntry("clipping and optimizer", 1.0)
          .containsEntry("embeddings forward", 1.0)
          .containsEntry("embeddings backward", 1.0)
          .containsEntry(StepProfile.REST, 1.0)
          .containsEntry("GELU forward", layers)
          .containsEntry("GELU backward", layers)
          .containsEntry("layer normalization backward", 2 * layers + 1)
          .containsEntry("linear forward", 6 * layers + 1)
          .doesNotContainKey("step");
    }
  }

  /** Each product runs once forward and twice backward; pooling has no gradient for its weights. */
  @Test
  void allMatrixProductsAreCounted() throws Exception {
    try (Recording recording = StepProfile.recording()) {
      recording.start();
      trained();
      recording.stop();
      int hidden = Tiny.CONFIG.hidden();
      double pooling = 2 * 8 * 16 * hidden;
      double head = 2 * 8 * hidden * 2;
      assertThat(
              StepProfile.of(recording, 0).rows().stream()
                  .mapToDouble(StepProfile.Row::flops)
                  .sum())
          .isEqualTo(3 * Tiny.CONFIG.forwardFlops(8, 16) + 2 * pooling + 3 * head);
    }
  }

  @Test
  void stepsThatAreSkippedDoNotCount() throws Exception {
    try (Recording recording = StepProfile.recording()) {
      recording.start();
      for (int i = 0; i < 3; i++) {
        PartEvent step = StepProfile.beginStep();
        PartEvent part = PartEvent.begin("part " + i);
        part.commit();
        step.commit();
        PartEvent.begin("between steps").commit();
      }
      recording.stop();
      assertThat(StepProfile.of(recording, 2).rows())
          .extracting(StepProfile.Row::operation)
          .containsExactlyInAnyOrder("part 2", StepProfile.REST);
      assertThatThrownBy(() -> StepProfile.of(recording, 3))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("the recording has no more than 3 steps");
    }
  }

  @Test
  void theTableHasSharesAndSpeeds() {
    StepProfile profile =
        new StepProfile(
            8,
            List.of(
                new StepProfile.Row("product", "fast", 6, 5, 1e9),
                new StepProfile.Row(StepProfile.REST, "", 1, 3, 0)));
    assertThat(profile.table(400e9).lines().map(line -> line.replaceAll(" +", " ")))
        .containsExactly(
            "| operation | by oneDNN's | calls | ms per step | share | GFLOP/s | of sgemm |",
            "|:----------------|:------------|------:|------------:|------:|--------:|---------:|",
            "| product | fast | 6 | 5.00 | 62.5% | 200 | 50% |",
            "| everything else | | 1 | 3.00 | 37.5% | | |",
            "| the step | | | 8.00 | 100% | | |");
  }

  @Test
  void theCommandPrintsTheTableAfterTheJson() {
    String options = "train-step --profile --batch 2 --length 10 --repeat 3 --threads 1";
    Cli cli = Cli.run(options.split(" "));
    assertThat(cli.err()).isEmpty();
    List<String> lines = cli.out().lines().toList();
    assertThat(lines.getFirst()).startsWith("{").contains("\"step_ms\":");
    assertThat(lines.getLast()).startsWith("| the step ");
    List<List<String>> rows =
        lines.subList(3, lines.size() - 1).stream()
            .map(line -> Arrays.stream(line.split("\\|")).map(String::strip).toList())
            .toList();
    assertThat(rows)
        .extracting(row -> row.get(1))
        .contains(
            "linear forward 32x384 to 32x1536",
            "matmul forward 2x12x16x32 by 2x12x32x16",
            "clipping and optimizer",
            StepProfile.REST);
    assertThat(
            rows.stream().mapToDouble(row -> Double.parseDouble(row.get(5).replace("%", ""))).sum())
        .isCloseTo(100, within(0.05 * rows.size()));
  }
}
