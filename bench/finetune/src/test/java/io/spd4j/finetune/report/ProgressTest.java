package io.spd4j.finetune.report;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import me.tongfei.progressbar.DelegatingProgressBarConsumer;
import org.junit.jupiter.api.Test;

class ProgressTest {
  private final StringWriter printed = new StringWriter();
  private final PrintWriter out = new PrintWriter(printed);

  @Test
  void printsALineAtEveryTenthWithoutATerminal() {
    try (Progress progress = new Progress("SPD, seed 2", 0, 400, out, null)) {
      for (int step = 1; step <= 400; step++) {
        progress.step(0.2126, 412.4, 12.4);
      }
    }

    List<String> lines = printed.toString().lines().toList();
    assertThat(lines).hasSize(11);
    assertThat(lines.getFirst())
        .isEqualTo("SPD, seed 2: step 1/400, loss 0.213, 412 ms, optimizer 3%, 2:45 left");
    assertThat(lines.get(1)).startsWith("SPD, seed 2: step 40/400, ").endsWith("2:28 left");
    assertThat(lines.getLast()).startsWith("SPD, seed 2: step 400/400, ").endsWith("0:00 left");
    assertThat(printed.toString()).doesNotContainPattern("[\\p{Cntrl}&&[^\r\n]]");
  }

  @Test
  void printsEveryStepOfAFew() {
    try (Progress progress = new Progress("SPD", 0, 3, out, null)) {
      for (int step = 1; step <= 3; step++) {
        progress.step(Double.NaN, 1, 1);
      }
    }

    assertThat(printed.toString().lines())
        .hasSize(3)
        .allMatch(line -> line.contains("loss NaN, 1 ms, optimizer 100%"));
  }

  @Test
  void aResumedRunGoesOn() {
    try (Progress progress = new Progress("SPD", 297, 400, out, null)) {
      for (int step = 298; step <= 400; step++) {
        progress.step(0.5, 1000, 100);
      }
    }

    assertThat(printed.toString().lines())
        .hasSize(4)
        .first()
        .isEqualTo("SPD: step 298/400, loss 0.500, 1000 ms, optimizer 10%, 1:42 left");
  }

  /** JLine would take Ctrl-C away from the job. */
  @Test
  void aBarOnATerminalDoesNotLoadJLine() throws Exception {
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xlog:class+load",
                "-cp",
                System.getProperty("java.class.path"),
                OnTerminal.class.getName())
            .redirectErrorStream(true)
            .start();
    String loaded = new String(process.getInputStream().readAllBytes(), UTF_8);

    assertThat(process.waitFor()).isZero();
    assertThat(loaded)
        .contains("me.tongfei.progressbar.ConsoleProgressBarConsumer ")
        .doesNotContain("org.jline.terminal");
  }

  static final class OnTerminal {
    public static void main(String[] args) {
      PrintWriter out = new PrintWriter(System.out);
      try (Progress progress = new Progress("SPD", 0, 2, out, Progress.onTerminal())) {
        progress.step(0.5, 1000, 30);
        progress.step(0.25, 1000, 30);
      }
    }
  }

  @Test
  void drawsABarOnATerminal() {
    List<String> drawn = new CopyOnWriteArrayList<>();
    try (Progress progress =
        new Progress("SPD", 0, 4, out, new DelegatingProgressBarConsumer(drawn::add, 60))) {
      progress.step(0.5, 1000, 30);
      progress.step(0.25, 1000, 30);
    }

    assertThat(drawn.getLast())
        .isEqualTo("SPD [==  ] 2/4, loss 0.250, 1000 ms, optimizer 3%, 0:02 left");
    assertThat(printed.toString()).isEmpty();
  }
}
