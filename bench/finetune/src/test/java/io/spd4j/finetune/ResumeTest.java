package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.finetune.cli.ExitStatus;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.safetensors.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Interrupts jobs on a tiny model in the middle, and resumes them. {@link KillTest} kills them. */
class ResumeTest {
  @TempDir private Path folder;

  private Path results;

  private TinyJob run(BooleanSupplier stop, String options) throws Exception {
    return TinyJob.run(results, stop, options.split(" "));
  }

  /** Returns true from the time on that it has been asked this often. */
  private static BooleanSupplier after(int asked) {
    AtomicInteger count = new AtomicInteger();
    return () -> count.incrementAndGet() > asked;
  }

  private Path checkpoint() {
    return results.resolve("tiny-checkpoint.safetensors");
  }

  private Path previous() {
    return results.resolve("tiny-checkpoint.safetensors.previous");
  }

  private Path folder(String name) throws IOException {
    return results = Files.createDirectories(folder.resolve(name));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--rules adamw --state 8bit --early-stop 1 --record 1 --unfreeze layer0=6 --steps 60",
        "--rules spd --state float32,bf16 --seeds 1,2 --record 4 --steps 23",
        "--rules l2sp --lambda l2sp=0.1,1 --state split --lora 2 --steps 23",
        "--rules spd --state param=split+grad=bf16+anchor=bf16 --schedule CONSTANT --threads 2 --steps 23",
        "--rules cautious,l2sp_coupled --group-by-length --state moments=8bit --layer-lambda layer1=0.5 --steps 23",
      })
  void anInterruptedJobGoesOnToTheSameResults(String options) throws Exception {
    String all = options + " --checkpoint-every 5";
    folder("whole");
    assertThat(run(() -> false, all).status()).isZero();
    TinyResults expected = TinyResults.of(results);
    assertThat(expected.report().findValue("stopped_early").isEmpty())
        .isEqualTo(!options.contains("--early-stop"));

    folder("resumed");
    int jobs = 0;
    int status;
    do {
      TinyJob job = run(after(17), all + " --resume"); // the tests alone ask 13 times
      status = job.status();
      assertThat(++jobs).isLessThan(50);
      assertThat(job.err().contains("interrupted: ")).isEqualTo(status == ExitStatus.INTERRUPTED);
    } while (status == ExitStatus.INTERRUPTED);
    assertThat(status).isZero();
    assertThat(jobs).isGreaterThan(2);
    assertThat(TinyResults.of(results)).isEqualTo(expected);
    assertThat(previous()).doesNotExist();
  }

  @Test
  void timesOfStepsBeforeTheCheckpointAreKept() throws Exception {
    folder("times");
    String options = "--rules spd --steps 12 --checkpoint-every 5 --resume";
    run(after(9), options);
    List<String> before = Files.readAllLines(results.resolve("tiny-metrics.jsonl"));
    run(() -> false, options);

    assertThat(before).hasSize(1 + 7); // deviations, and 7 steps
    assertThat(Files.readAllLines(results.resolve("tiny-metrics.jsonl")))
        .startsWith(before.toArray(String[]::new))
        .doesNotHaveDuplicates()
        .hasSize(1 + 12 + 2 + 1); // two more records, and the result
  }

  @Test
  void aFinishedJobIsNotDoneAgain() throws Exception {
    folder("finished");
    String options = "--rules spd,adamw --steps 4 --checkpoint-every 5";
    TinyJob first = run(() -> false, options);
    TinyResults expected = TinyResults.of(results);
    for (String file : expected.weights().keySet()) {
      Files.delete(results.resolve(file));
    }
    Files.delete(results.resolve("tiny.json"));
    Files.delete(results.resolve("tiny-metrics.jsonl"));

    TinyJob again = run(() -> false, options + " --resume");
    assertThat(again.status()).isZero();
    assertThat(again.out()).startsWith("resumed after 2 runs\n").doesNotContain("testing");
    assertThat(again.out()).endsWith(first.out().substring(first.out().indexOf("\n|")));
    assertThat(TinyResults.of(results).report()).isEqualTo(expected.report());
    assertThat(TinyResults.of(results).metrics()).isEqualTo(expected.metrics());
    assertThat(TinyResults.of(results).weights()).isEmpty();
  }

  @Test
  void withoutACheckpointTheJobBegins() throws Exception {
    folder("new");
    assertThat(run(() -> false, "--rules spd --resume").out())
        .startsWith("there is no checkpoint: the job begins\n");
    assertThat(checkpoint()).exists();

    folder("neither");
    assertThat(run(() -> false, "--rules spd").out()).doesNotContain("checkpoint");
    assertThat(checkpoint()).doesNotExist();
  }

  @Test
  void otherOptionsAreRefused() throws Exception {
    folder("options");
    run(after(9), "--rules spd --steps 23 --checkpoint-every 5");
    byte[] before = Files.readAllBytes(checkpoint());
    byte[] metrics = Files.readAllBytes(results.resolve("tiny-metrics.jsonl"));

    Map<String, String> others = new LinkedHashMap<>();
    others.put("--rules spd --steps 23 --lr 1e-3", "--lr is [0.001]");
    others.put("--rules spd --steps 24", "--steps is 24");
    others.put("--rules adamw --steps 23", "--rules is [adamw]");
    others.put("--rules spd --steps 23 --lambda spd=2", "--lambda is [Lambdas[method=spd");
    others.put("--rules spd --steps 23 --seeds 2", "--seeds is [2]");
    others.put("--rules spd --steps 23 --state split", "--state is [split]");
    others.put("--rules spd --steps 23 --data noise=0.1", "--data is [noise=0.1]");
    others.put("--rules spd --steps 23 --validation 0.1", "--validation is 0.1");
    others.put("--rules spd --steps 23 --choose-seeds 9", "--choose-seeds is [9]");
    others.put("--rules spd --steps 23 --no-weights", "--no-weights is true");
    others.put("--rules spd --steps 23 --early-stop 3", "--early-stop is 3");
    others.put("--rules spd --steps 23 --unfreeze layer0=3", "--unfreeze is {layer0=3}");
    others.put("--rules spd --steps 23 --lora 2", "--lora is 2");
    others.put("--rules spd --steps 23 --threads 2", "--threads is 2");
    others.put("--rules spd --steps 23 --backend SCALAR", "--backend is SCALAR");
    others.forEach((options, message) ->
        assertRefused(
            () -> run(() -> false, options + " --resume"),
            ExitStatus.INPUT,
            message,
            ", but was ",
            "when " + checkpoint() + " was written: resume with the same, or leave out --resume"));
    assertThat(Files.readAllBytes(checkpoint())).isEqualTo(before);
    assertThat(Files.readAllBytes(results.resolve("tiny-metrics.jsonl"))).isEqualTo(metrics);
  }

  @Test
  void otherTextsAreRefused() throws Exception {
    folder("texts");
    String[] options = "--rules spd --steps 23 --resume".split(" ");
    TinyJob.run(results, after(9), options);

    assertRefused(
        () -> TinyJob.run(results, new TinyJob.Texts(299), () -> false, options),
        ExitStatus.INPUT,
        "--cache is 299 texts, but was 300 texts when ");
  }

  @Test
  void someOptionsMayChange() throws Exception {
    folder("may change");
    run(after(9), "--rules spd --steps 23 --checkpoint-every 5");
    TinyJob job = run(() -> false, "--rules spd --steps 23 --checkpoint-every 3 --resume --quiet");

    assertThat(job.status()).isZero();
    assertThat(job.out())
        .startsWith("\n|")
        .contains("report: ")
        .doesNotContain("step 2", "testing", "resumed");
    assertThat(job.err()).isEmpty();
  }

  private static void assertRefused(ThrowingCallable job, int status, String... message) {
    assertThatThrownBy(job)
        .isInstanceOfSatisfying(Failure.class, e -> assertThat(e.status()).isEqualTo(status))
        .hasMessageContainingAll(message);
  }

  private void damage(Path file) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    bytes[bytes.length - 5] ^= 1;
    Files.write(file, bytes);
  }

  @Test
  void aDamagedCheckpointGivesWayToTheOneBefore() throws Exception {
    folder("whole");
    String options = "--rules spd --steps 23 --checkpoint-every 5";
    run(() -> false, options);
    TinyResults expected = TinyResults.of(results);
    folder("damaged");
    run(after(15), options);
    damage(checkpoint());

    TinyJob resumed = run(() -> false, options + " --resume");
    assertThat(resumed.out()).startsWith("resumed after 0 runs and 10 steps\n");
    assertThat(resumed.err())
        .hasLineCount(1)
        .startsWith(checkpoint() + ": the file is damaged: ")
        .endsWith(
            "; the checkpoint before it is whole: "
                + previous()
                + "; the job goes on from there\n");
    assertThat(TinyResults.of(results)).isEqualTo(expected);
  }

  @Test
  void aRefusalLeavesADamagedCheckpointWhereItIs() throws Exception {
    folder("damaged and refused");
    run(after(15), "--rules spd --steps 23 --checkpoint-every 5");
    damage(checkpoint());
    byte[] damaged = Files.readAllBytes(checkpoint());

    assertRefused(
        () -> run(() -> false, "--rules spd --steps 24 --resume"),
        ExitStatus.INPUT,
        "--steps is 24");
    assertThat(Files.readAllBytes(checkpoint())).isEqualTo(damaged);
    assertThat(previous()).exists();
  }

  @Test
  void aMissingCheckpointGivesWayToTheOneBefore() throws Exception {
    folder("missing");
    run(after(15), "--rules spd --steps 23 --checkpoint-every 5");
    Files.delete(checkpoint());

    TinyJob resumed = run(() -> false, "--rules spd --steps 23 --resume");
    assertThat(resumed.out()).startsWith("resumed after 0 runs and 10 steps\n");
    assertThat(resumed.err()).hasLineCount(1).contains(checkpoint().toString());
  }

  @Test
  void withoutAWholeCheckpointTheJobDoesNotGoOn() throws Exception {
    folder("both");
    run(after(15), "--rules spd --steps 23 --checkpoint-every 5");
    damage(checkpoint());
    damage(previous());
    assertRefused(
        () -> run(() -> false, "--rules spd --steps 23 --resume"),
        ExitStatus.CHECKPOINT,
        checkpoint() + ": the file is damaged: ",
        "nor can the one before be used: " + previous() + ": the file is damaged: ");
    Files.delete(previous());
    assertRefused(
        () -> run(() -> false, "--rules spd --steps 23 --resume"),
        ExitStatus.CHECKPOINT,
        "; there is none before it");

    SafetensorsWriter.write(checkpoint(), List.of(), Map.of());
    assertRefused(
        () -> run(() -> false, "--rules spd --steps 23 --resume"),
        ExitStatus.CHECKPOINT,
        checkpoint() + " is not the checkpoint of a job");
  }

  @Test
  void aNewJobReplacesTheCheckpoint() throws Exception {
    folder("new");
    run(after(9), "--rules spd --steps 23 --checkpoint-every 5");
    assertThat(run(after(0), "--rules adamw --steps 7 --checkpoint-every 5").out())
        .startsWith("the checkpoint of an earlier job is replaced; ");

    TinyJob resumed = run(() -> false, "--rules adamw --steps 7 --resume");
    assertThat(resumed.status()).isZero();
    assertThat(resumed.out()).startsWith("resumed after 0 runs\n");
    try (Stream<Path> files = Files.list(results)) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .contains("tiny-adamw-0.01-seed1.safetensors");
    }
  }
}
