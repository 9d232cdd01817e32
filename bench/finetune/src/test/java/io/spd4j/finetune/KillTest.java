package io.spd4j.finetune;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Kills a job again and again. */
class KillTest {
  private static final int KILLS = 10;
  private static final String[] JOB =
      ("--rules spd,adamw,l2sp --state 8bit --checkpoint-every 7 --resume "
              + "--steps 80 --record 3 --early-stop 1 "
              + "--unfreeze layer0=9 --unfreeze embeddings=12")
          .split(" ");

  @TempDir private Path folder;

  private final SplittableRandom random = new SplittableRandom(1);

  /** Milliseconds until the job has begun, and from there to its end. */
  private long start;

  private long rest;

  /** The moments differ from machine to machine: a process is killed after a random time. */
  @Test
  void aKilledJobEndsWithTheResultsOfAnother() throws Exception {
    Path whole = Files.createDirectory(folder.resolve("whole"));
    String table = table(whole);
    TinyResults expected = TinyResults.of(whole);
    assertThat(expected.weights()).hasSize(3);
    assertThat(expected.report().findValues("stopped_early")).anyMatch(stops -> stops.size() > 0);

    int jobs = 0;
    Path results = Files.createDirectory(folder.resolve("killed" + jobs));
    for (int kills = 0; kills < KILLS; ) {
      if (kill(TinyJob.start(results, JOB))) {
        kills++;
      } else {
        assertThat(TinyResults.of(results)).isEqualTo(expected);
        results = Files.createDirectory(folder.resolve("killed" + ++jobs));
      }
    }
    assertThat(table(results)).isEqualTo(table);
    assertThat(TinyResults.of(results)).isEqualTo(expected);
    assertThat(files(results)).isEqualTo(files(whole));
  }

  /** Kills a process at a random moment; returns false if it has ended before. */
  private boolean kill(Process process) throws IOException, InterruptedException {
    BufferedReader out = process.inputReader(UTF_8);
    long within =
        switch (random.nextInt(6)) {
          case 0 -> start; // while the JVM starts
          case 1, 2 -> await(TinyJob.READY, out) ? rest / 2 : 1; // maybe at the end of a run
          default -> await(TinyJob.WARM, out) ? rest / 10 : 1; // mostly in a step or a checkpoint
        };
    process.waitFor(random.nextLong(within), TimeUnit.MILLISECONDS);
    process.toHandle().destroyForcibly(); // SIGKILL; the streams stay open
    int status = process.waitFor();
    assertThat(new String(process.getErrorStream().readAllBytes(), UTF_8)).isEmpty();
    assertThat(status).isIn(0, 128 + 9);
    return status != 0;
  }

  /** Runs a job to its end; returns its table without times. */
  private String table(Path results) throws IOException, InterruptedException {
    long begin = System.nanoTime();
    Process process = TinyJob.start(results, JOB);
    StringBuilder table = new StringBuilder();
    try (BufferedReader out = process.inputReader(UTF_8)) {
      assertThat(await(TinyJob.READY, out)).isTrue();
      long ready = System.nanoTime();
      for (String line : out.lines().filter(l -> l.startsWith("|")).toList()) {
        List<String> cells = Stream.of(line.split("\\|")).map(String::strip).toList();
        table.append(cells.subList(0, 6)).append('\n');
      }
      start = (ready - begin) / 1_000_000;
      rest = (System.nanoTime() - ready) / 1_000_000;
    }
    assertThat(new String(process.getErrorStream().readAllBytes(), UTF_8)).isEmpty();
    assertThat(process.waitFor()).isZero();
    assertThat(table.toString()).contains("near", "far");
    return table.toString();
  }

  /** Waits for a line; returns false if the process ends without it. */
  private static boolean await(String wanted, BufferedReader out) throws IOException {
    String line;
    do {
      line = out.readLine();
    } while (line != null && !line.equals(wanted));
    return line != null;
  }

  private static List<String> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }
}
