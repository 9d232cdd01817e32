package io.spd4j.finetune;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.spd4j.finetune.cli.ExitStatus;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Program;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine.Command;

/** Each way in which a job can end has a status and a message. */
class JobEndTest {
  @TempDir private Path results;

  private TinyJob run(String options) throws Exception {
    return run(() -> false, options);
  }

  private TinyJob run(BooleanSupplier stop, String options) throws Exception {
    return TinyJob.run(results, stop, options.split(" "));
  }

  @Test
  void success() throws Exception {
    TinyJob job = run("--rules spd");

    assertThat(job.status()).isZero();
    assertThat(job.err()).isEmpty();
    assertThat(job.out()).contains("step 6/6", "testing …", "near: ", "report: ", "weights, for");
  }

  @Test
  void aQuietJobPrintsResultsOnly() throws Exception {
    TinyJob job = run("--rules spd --quiet --early-stop 1 --record 1 --steps 30");

    assertThat(job.status()).isZero();
    assertThat(job.err()).isEmpty();
    List<String> lines = job.out().lines().toList();
    assertThat(lines.getFirst()).isEmpty();
    assertThat(lines.get(1)).startsWith("| rule");
    assertThat(job.out())
        .contains("report: " + results, "weights, for classify: " + results)
        .doesNotContain("step 30", "testing", "near: ", "stopped early");
  }

  /** The other rule's run is done. */
  @Test
  void divergence() throws Exception {
    TinyJob job =
        run("--rules adamw,l2sp --lambda adamw=1e37 --steps 60 --head-lr 1e-2 --warmup 0");

    assertThat(job.status()).isEqualTo(ExitStatus.DIVERGED);
    assertThat(job.err())
        .contains("diverged: AdamW, λ = 1")
        .contains("\ndiverged runs: 1 of 2; try a lower --lr\n")
        .doesNotContain("diverged: L2-SP");
    List<Integer> steps =
        TinyResults.of(results).report().get("runs").findValues("steps").stream()
            .map(n -> n.intValue())
            .toList();
    assertThat(steps.getFirst()).isBetween(Divergence.STEPS, 30);
    assertThat(steps.getLast()).isEqualTo(60);
  }

  @Test
  void aJobThatDivergedIsOneAfterAResume() throws Exception {
    String options = "--rules adamw --lambda adamw=1e37 --steps 60 --warmup 0 --resume";
    assertThat(run(options).status()).isEqualTo(ExitStatus.DIVERGED);
    assertThat(run(options).status()).isEqualTo(ExitStatus.DIVERGED);
    assertThat(run(options).out()).startsWith("resumed after 1 runs\n");
  }

  @Test
  void weightsThatCannotBeWritten() throws Exception {
    Path inTheWay = results.resolve("tiny-spd-1-seed1.safetensors");
    Files.createDirectories(inTheWay.resolve("file"));
    TinyJob job = run("--rules spd,adamw");

    assertThat(job.status()).isEqualTo(ExitStatus.OUTPUT);
    assertThat(job.err())
        .startsWith("the weights could not be written to " + inTheWay + ": ")
        .endsWith("not all weights could be written to " + results + "\n");
    assertThat(TinyResults.of(results).weights())
        .containsOnlyKeys("tiny-adamw-0.01-seed1.safetensors");
  }

  /** With a checkpoint the job ends there, and goes on when there is room. */
  @Test
  void weightsThatCanBeWrittenLater() throws Exception {
    Path inTheWay = results.resolve("tiny-spd-1-seed1.safetensors");
    Files.createDirectories(inTheWay.resolve("file"));
    TinyJob job = run("--rules spd,adamw --resume");
    assertThat(job.status()).isEqualTo(ExitStatus.OUTPUT);
    assertThat(job.err()).endsWith("; --resume goes on from there\n");

    Files.delete(inTheWay.resolve("file"));
    Files.delete(inTheWay);
    TinyJob resumed = run("--rules spd,adamw --resume");
    assertThat(resumed.status()).isZero();
    assertThat(resumed.out()).startsWith("resumed after 0 runs and 6 steps\n");
    assertThat(TinyResults.of(results).weights()).hasSize(2);
  }

  @Test
  void metricsThatCannotBeWritten() throws Exception {
    Files.createDirectories(results.resolve("tiny-metrics.jsonl").resolve("file"));
    TinyJob job = run("--rules spd,adamw");

    assertThat(job.status()).isEqualTo(ExitStatus.OUTPUT);
    assertThat(job.err())
        .hasLineCount(2)
        .startsWith("no more metrics are written: ")
        .endsWith("not all metrics could be written to " + results + "\n");
    assertThat(job.out()).contains("report: ").contains("AdamW");
  }

  @Test
  void aReportThatCannotBeWritten() throws Exception {
    Files.createDirectories(results.resolve("tiny.json").resolve("file"));

    assertThatThrownBy(() -> run("--rules spd"))
        .isInstanceOfSatisfying(
            Failure.class, e -> assertThat(e.status()).isEqualTo(ExitStatus.OUTPUT))
        .hasMessageStartingWith(results.resolve("tiny.json") + " cannot be written (");
    assertThat(results.resolve("tiny-spd-1-seed1.safetensors")).exists();
  }

  /** The job goes on, and so does a resumed one from the last checkpoint that was written. */
  @Test
  void aCheckpointThatCannotBeWritten() throws Exception {
    Path file = results.resolve("tiny-checkpoint.safetensors");
    Files.createDirectories(file.resolve("file"));
    TinyJob job = run("--rules spd --checkpoint-every 5");

    assertThat(job.status()).isZero();
    assertThat(job.err().lines())
        .isNotEmpty()
        .allMatch(l -> l.startsWith("no checkpoint could be written to " + file + " ("));
  }

  /** The results lie on a disk of one page, which the metrics fill. */
  @Test
  void aFullDisk() throws Exception {
    String mount = "mount -t tmpfs -o size=4k tmpfs \"$0\" && exec \"$@\"";
    List<String> prefix = List.of("unshare", "-rm", "sh", "-c", mount, results.toString());
    assumeTrue(mayMount(prefix), "this user may not mount a tmpfs");
    List<String> command = new ArrayList<>(prefix);
    command.addAll(TinyJob.command(results, "--rules", "spd", "--no-weights", "--steps", "100"));
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectOutput(ProcessBuilder.Redirect.DISCARD);
    builder.environment().put("LC_ALL", "C.UTF-8"); // the system's messages are English
    Process job = builder.start();
    String err = new String(job.getErrorStream().readAllBytes(), UTF_8);

    assertThat(job.waitFor()).isNotZero();
    assertThat(err)
        .startsWith("no more metrics are written: ")
        .containsSubsequence(
            "No space left on device\n",
            results.resolve("tiny.json") + " cannot be written (",
            "No space left on device): ");
  }

  private static boolean mayMount(List<String> prefix) throws InterruptedException {
    List<String> probe = new ArrayList<>(prefix);
    probe.add("true");
    try {
      return new ProcessBuilder(probe).start().waitFor() == 0;
    } catch (IOException e) {
      return false; // no mount namespaces here
    }
  }

  @Test
  void anInterruption() throws Exception {
    AtomicInteger asked = new AtomicInteger();
    TinyJob job = run(() -> asked.incrementAndGet() > 4, "--rules spd,adamw --checkpoint-every 5");

    assertThat(job.status()).isEqualTo(ExitStatus.INTERRUPTED);
    assertThat(job.err())
        .isEqualTo(
            "interrupted: the report has what was done until then; --resume goes on from there\n");
    assertThat(job.out()).contains("SPD").doesNotContain("AdamW");
  }

  /** SIGINT is what Ctrl-C sends. */
  @ParameterizedTest
  @CsvSource({"INT, 130", "TERM, 143"})
  void aSignal(String signal, int status) throws Exception {
    assumeTrue(isHeeded(signal));
    String options = "--rules spd --steps 10000 --checkpoint-every 100";
    Process job = TinyJob.start(results, options.split(" "));
    try (BufferedReader out = job.inputReader(UTF_8)) {
      String line = out.readLine();
      while (line != null && !line.equals(TinyJob.READY)) {
        line = out.readLine();
      }
      assertThat(line).isNotNull();
      new ProcessBuilder("kill", "-" + signal, Long.toString(job.pid())).start().waitFor();
      assertThat(out.lines()).anyMatch(l -> l.startsWith("report: "));
      assertThat(new String(job.getErrorStream().readAllBytes(), UTF_8))
          .startsWith("interrupted: ");
      assertThat(job.waitFor()).isEqualTo(status);
    } finally {
      job.destroyForcibly();
    }
  }

  /** A process that was started in the background may ignore Ctrl-C, and so do its children. */
  private static boolean isHeeded(String signal) throws Exception {
    Path status = Path.of("/proc/self/status");
    if (!signal.equals("INT") || !Files.exists(status)) {
      return true;
    }
    String ignored =
        Files.readAllLines(status).stream()
            .filter(l -> l.startsWith("SigIgn:"))
            .findFirst()
            .orElseThrow();
    return (Long.parseUnsignedLong(ignored.substring(7).strip(), 16) & 1 << 1) == 0;
  }

  @Command(name = "greedy", subcommands = Take.class)
  static final class Greedy extends Program {}

  @Command(name = "take")
  static final class Take implements Callable<Integer> {
    @Override
    public Integer call() {
      throw new OutOfMemoryError("Java heap space");
    }
  }

  @Test
  void tooLittleMemory() {
    StringWriter err = new StringWriter();
    int status = new Greedy().run(new PrintWriter(err), new PrintWriter(err, true), "take");

    assertThat(status).isEqualTo(ExitStatus.MEMORY);
    assertThat(err.toString())
        .isEqualTo(
            "not enough memory (Java heap space): give the JVM more with -Xmx, or take less at a"
                + " time\n");
  }

  @Test
  void theHelpListsTheStatuses() {
    for (Cli help : List.of(Cli.run("--help"), Cli.run("finetune", "--help"))) {
      assertThat(help.out())
          .contains("Exit status:")
          .containsPattern("(?m)^ +0 +success")
          .containsPattern("(?m)^ +2 +bad usage")
          .containsPattern("(?m)^ +3 +(the report|results)")
          .containsPattern("(?m)^ +4 +(a run|training) diverged")
          .containsPattern("(?m)^ +5 +(the|a) checkpoint cannot be used")
          .containsPattern("(?m)^ +6 +not enough memory")
          .containsPattern("(?m)^ +130 +interrupted by Ctrl-C");
    }
  }
}
