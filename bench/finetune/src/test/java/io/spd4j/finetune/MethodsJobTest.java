package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Runs LP-FT with WiSE-FT, and FTP, in jobs on a tiny model. */
class MethodsJobTest {
  @TempDir private Path folder;

  private TinyJob run(String name, int stopAt, String options) throws Exception {
    Path results = Files.createDirectories(folder.resolve(name));
    AtomicInteger asked = new AtomicInteger();
    return TinyJob.run(results, () -> asked.incrementAndGet() > stopAt, options.split(" "));
  }

  private TinyResults results(String name) throws Exception {
    return TinyResults.of(folder.resolve(name));
  }

  /** Returns the rows of the results. */
  private static List<String> rows(TinyJob job) {
    return job.out()
        .lines()
        .dropWhile(line -> !line.startsWith("|"))
        .takeWhile(line -> line.startsWith("|"))
        .skip(2)
        .toList();
  }

  @Test
  void testsModelsBetweenTheProbedAndTheTunedOne() throws Exception {
    TinyJob job =
        run("wise", 9999, "--rules lp_ft,adamw --wise 0.75,0,0.5,0 --steps 20 --seeds 1,2");

    assertThat(job.err()).isEmpty();
    JsonNode runs = results("wise").report().get("runs");
    assertThat(runs).hasSize(4);
    for (JsonNode run : runs) {
      List<Double> alphas = new ArrayList<>();
      for (JsonNode model : run.get("interpolated")) {
        double alpha = model.get("alpha").asDouble();
        alphas.add(alpha);
        assertThat(model.get("deviation").asDouble())
            .isCloseTo(alpha * run.get("deviation").asDouble(), within(1e-4));
        assertThat(model.get("scores").get("near").get("total").asInt()).isEqualTo(60);
        assertThat(model.get("scores").get("far").get("total").asInt()).isEqualTo(40);
      }
      boolean probed = run.get("rule").asText().equals("LP-FT");
      assertThat(alphas).isEqualTo(probed ? List.of(0.0, 0.5, 0.75) : List.of());
    }
    assertThat(rows(job)).hasSize(5);
    assertThat(rows(job).get(0)).startsWith("| LP-FT, λ = 0.01 ");
    assertThat(rows(job).get(2)).startsWith("| WiSE-FT, α = 0 ");
    assertThat(rows(job).get(3)).startsWith("| WiSE-FT, α = 0.5 ");
    assertThat(rows(job).get(4)).startsWith("| WiSE-FT, α = 0.75 ");
  }

  @Test
  void withoutAnOptionOneModelIsTested() throws Exception {
    run("default", 9999, "--rules lp_ft");
    assertThat(results("default").report().findValue("interpolated")).hasSize(1);
    run("lora", 9999, "--rules lp_ft --lora 2");
    assertThat(results("lora").report().findValue("interpolated")).isEmpty();
  }

  /** Stops in the first part, at its end, in the second part, in the tests and between α. */
  @ParameterizedTest
  @ValueSource(strings = {"--state float32", "--state bf16", "--early-stop 1 --record 1"})
  void anInterruptedLpFtGoesOnToTheSameResults(String more) throws Exception {
    String options = "--rules lp_ft --steps 20 --checkpoint-every 2 --wise 0,0.25 " + more;
    assertThat(run("whole", 9999, options).status()).isZero();

    for (int stopAt : new int[] {5, 5, 9, 17, 30}) {
      TinyJob stopped = run("resumed", stopAt, options + " --resume");
      assertThat(stopped.err()).contains("interrupted: ");
    }
    assertThat(run("resumed", 9999, options + " --resume").status()).isZero();
    assertThat(results("resumed")).isEqualTo(results("whole"));
  }

  @Test
  void anInterruptedFtpBeginsAnew() throws Exception {
    String options = "--rules adamw,ftp --lambda ftp=0.5 --steps 20 --checkpoint-every 3";
    TinyJob whole = run("whole", 9999, options);
    assertThat(rows(whole).get(1)).startsWith("| FTP, k = 0.5 ");

    run("resumed", 10, options); // in AdamW's run
    assertThat(run("resumed", 40, options + " --resume").out())
        .startsWith("resumed after 0 runs and 8 steps\n");
    for (int stopAt : new int[] {10, 30}) { // in FTP's steps and in its tests
      TinyJob stopped = run("resumed", stopAt, options + " --resume");
      assertThat(stopped.out()).startsWith("resumed after 1 runs\n");
      assertThat(stopped.err()).contains("interrupted: ");
    }
    assertThat(run("resumed", 9999, options + " --resume").status()).isZero();
    assertThat(results("resumed")).isEqualTo(results("whole"));
  }

  @Test
  void ftpKeepsTheModelNear() throws Exception {
    run("near", 9999, "--rules adamw,ftp --steps 30 --lambda adamw=0 --unfreeze layer0=5");

    List<JsonNode> deviations = results("near").report().findValues("deviation");
    assertThat(deviations.get(1).asDouble())
        .isPositive()
        .isLessThan(0.8 * deviations.get(0).asDouble());
  }
}
