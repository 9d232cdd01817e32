package io.spd4j.finetune.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MetricsTest {
  private static final String SPD =
      "{\"rule\":\"SPD\",\"lambda\":0.5,\"lr\":5.0E-5,\"state\":\"8bit\",\"data\":\"\",\"seed\":3,";

  @TempDir private Path folder;
  private final List<String> problems = new ArrayList<>();

  private static History.Step step(double loss, int selected) {
    BitSet bits = new BitSet();
    bits.set(0, selected);
    return new History.Step(loss, 2, 0.25, 8, 0.5, 50, 14, bits);
  }

  private static Run run(History history) {
    Map<String, Score> scores = Map.of("far", new Score(1, 2, 0.25), "near", new Score(3, 4, 0.25));
    return new Run(
        new Setup("SPD", 0.5, 5e-5, "8bit", ""),
        3,
        2,
        true,
        scores,
        0.75,
        history,
        null,
        null,
        List.of());
  }

  @Test
  void everyLineIsThereAtOnce() throws Exception {
    Path file = folder.resolve("m.jsonl");
    Files.writeString(file, "old");
    History history = new History(List.of("layer 0", "layer 1"), List.of("a", "b"));
    try (Metrics metrics = new Metrics(file, List.of(), problems::add)) {
      assertThat(file).isEmptyFile();
      history.deviation(List.of(0.0, 0.0));
      history.add(step(1.5, 2));
      metrics.append(new Setup("SPD", 0.5, 5e-5, "8bit", ""), 3, history);
      String numbers =
          "\"gradient_norm\":2.0,\"learning_rate\":0.25,\"step_ms\":8.0,\"optimizer_ms\":0.5,"
              + "\"tokens\":50,\"padding\":14,";
      List<String> lines = new ArrayList<>();
      lines.add(SPD + "\"step\":0,\"deviations\":{\"layer 0\":0.0,\"layer 1\":0.0}}");
      lines.add(SPD + "\"step\":1,\"loss\":1.5," + numbers + "\"selected\":2}");
      assertThat(Files.readAllLines(file)).isEqualTo(lines);

      history.add(step(Double.NaN, 0));
      history.deviation(List.of(0.5, 1.0));
      history.stop("layer 1");
      metrics.append(new Setup("SPD", 0.5, 5e-5, "8bit", ""), 3, history);
      lines.add(SPD + "\"step\":2,\"loss\":null," + numbers + "\"selected\":0}");
      lines.add(SPD + "\"step\":2,\"deviations\":{\"layer 0\":0.5,\"layer 1\":1.0}}");
      lines.add(SPD + "\"step\":2,\"stopped_early\":\"layer 1\"}");
      assertThat(Files.readAllLines(file)).isEqualTo(lines);

      metrics.finish(run(history));
      lines.add(
          SPD
              + "\"step\":2,\"complete\":true,\"deviation\":0.75,\"scores\":{"
              + "\"far\":{\"correct\":1,\"total\":2,\"loss\":0.25,\"accuracy\":0.5},"
              + "\"near\":{\"correct\":3,\"total\":4,\"loss\":0.25,\"accuracy\":0.75}}}");
      assertThat(Files.readAllLines(file)).isEqualTo(lines);

      History next = new History(List.of("layer 0"), List.of());
      next.add(step(1, 0));
      metrics.append(new Setup("SPD", 0.5, 5e-5, "8bit", ""), 4, next);
      assertThat(Files.readAllLines(file))
          .hasSize(lines.size() + 1)
          .last()
          .asString()
          .contains("\"seed\":4,\"step\":1,");
      assertThat(metrics.complete()).isTrue();
    }
    assertThat(problems).isEmpty();
  }

  @Test
  void aResumeHasTheSameLines() throws Exception {
    History history = new History(List.of("layer 0"), List.of("a", "b"));
    history.deviation(List.of(0.0));
    Path file = folder.resolve("m.jsonl");
    Path again = folder.resolve("again.jsonl");
    try (Metrics metrics = new Metrics(file, List.of(), problems::add)) {
      for (int i = 1; i <= 5; i++) {
        history.add(step(i, i % 2));
        if (i % 2 == 0) {
          history.deviation(List.of((double) i));
          history.stop("layer " + i);
        }
        metrics.append(new Setup("SPD", 0.5, 5e-5, "8bit", ""), 3, history);
      }
      metrics.finish(run(history));
    }
    new Metrics(again, List.of(run(history)), problems::add).close();

    assertThat(again).hasSameTextualContentAs(file);
    assertThat(problems).isEmpty();
  }

  @Test
  void aProblemIsToldOnce() throws Exception {
    Path file = folder.resolve("m.jsonl");
    Files.createDirectories(file.resolve("in the way"));
    History history = new History(List.of(), List.of());
    history.add(step(1, 0));
    try (Metrics metrics = new Metrics(file, List.of(run(history)), problems::add)) {
      metrics.append(new Setup("SPD", 1, 5e-5, "8bit", ""), 3, history);
      metrics.finish(run(history));
      assertThat(metrics.complete()).isFalse();
    }
    assertThat(problems).hasSize(1).first().asString().startsWith("no more metrics are written: ");
  }
}
