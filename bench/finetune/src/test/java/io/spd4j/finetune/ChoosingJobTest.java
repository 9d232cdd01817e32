package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.spd4j.finetune.cli.Failure;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ChoosingJobTest {
  private static final String JOB =
      "--rules spd,adamw --lr 1e-9,3e-3 --choose-seeds 11..12 --seeds 1..2";

  @TempDir private Path results;

  /** The last job. */
  private TinyJob job;

  private TinyResults results(String options) throws Exception {
    job = TinyJob.run(results, () -> false, options.split(" "));
    assertThat(job.err()).isEmpty();
    assertThat(job.status()).isZero();
    return TinyResults.of(results);
  }

  private static List<String> values(JsonNode runs, String name) {
    List<String> values = new ArrayList<>();
    runs.forEach(run -> values.add(run.get(name).asText()));
    return values;
  }

  @Test
  void trialsAreValidatedAndTheBestSettingsTested() throws Exception {
    JsonNode report = results(JOB + " --no-weights").report();
    JsonNode trials = report.get("trials");
    JsonNode runs = report.get("runs");

    assertThat(trials).hasSize(2 * 2 * 2);
    trials.forEach(trial -> {
      assertThat(trial.get("scores")).isEmpty();
      assertThat(trial.get("complete").asBoolean()).isTrue();
      assertThat(trial.get("validation").get("total").asInt()).isEqualTo(48);
    });
    assertThat(values(runs, "rule")).containsExactly("SPD", "AdamW", "SPD", "AdamW");
    assertThat(values(runs, "seed")).containsExactly("1", "1", "2", "2");
    assertThat(values(runs, "lr")).containsOnly("0.003"); // with 1e-9 nothing is learned
    runs.forEach(run -> {
      assertThat(run.get("scores")).hasSize(2);
      assertThat(run.get("weights").isNull()).isTrue();
    });
    JsonNode deviation = report.get("differences").get(0).get("deviation");
    assertThat(deviation.get("seeds")).extracting(JsonNode::asInt).containsExactly(1, 2);
    for (int seed = 0; seed < 2; seed++) {
      double spd = runs.get(2 * seed).get("deviation").asDouble();
      double adamw = runs.get(2 * seed + 1).get("deviation").asDouble();
      assertThat(deviation.get("values").get(seed).asDouble()).isEqualTo(spd - adamw);
    }
    assertThat(job.out()).contains("Compared with AdamW, λ = 0.01, seed by seed:", "\n| SPD, ");
  }

  @Test
  void aResumedJobChoosesTheSame() throws Exception {
    TinyResults whole = results(JOB);
    for (int stopAt : new int[] {30, 90}) {
      AtomicInteger asked = new AtomicInteger();
      TinyJob.run(
          results,
          () -> asked.incrementAndGet() > stopAt,
          (JOB + " --checkpoint-every 4").split(" "));
      TinyResults resumed = results(JOB + " --checkpoint-every 4 --resume");

      assertThat(resumed.report()).isEqualTo(whole.report());
      assertThat(resumed.weights()).isEqualTo(whole.weights()).hasSize(4);
    }
  }

  @Test
  void everyVariationIsATaskOfItsOwn() throws Exception {
    JsonNode report = results("--rules spd --data plain,noise=0.25 --seeds 1,2").report();

    assertThat(values(report.get("runs"), "data"))
        .containsExactly("", "25% wrong labels", "", "25% wrong labels");
    assertThat(report.get("trials")).isEmpty();
  }

  /** A grid is there to find where training fails. */
  @Test
  void aTrialThatDivergesIsNotChosenAndNoFailure() throws Exception {
    String options =
        "--rules adamw,adamw --lambda adamw=1e37,0.01 --steps 60 --warmup 0 --choose-seeds 11";
    JsonNode report = results(options + " --seeds 1,2 --data plain,noise=0").report();

    assertThat(values(report.get("trials"), "complete")).containsExactly("false", "true");
    assertThat(values(report.get("runs"), "lambda")).containsExactly("0.01", "0.01");
    assertThat(values(report.get("runs"), "seed")).containsExactly("1", "2");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--lambda spd=1,2 --seeds 1..3 --choose-seeds 3,4 | --choose-seeds must differ from --seeds, "
            + "which test what was chosen: 3",
        "--choose-seeds 11 | --choose-seeds needs several --lambda or --lr to choose from",
        "--lambda spd=1,2 --choose-seeds 11 --validation 0 | --choose-seeds needs a --validation of "
            + "more than 0",
        "--lambda spd=1,2 --choose-seeds 11 --state bf16,8bit | --choose-seeds takes one --state, not "
            + "[bf16, 8bit]",
      })
  void refusesAChoiceThatProvesNothing(String options, String message) {
    JobOptions job = Fixtures.job(("--rules spd " + options).split(" "));

    assertThatThrownBy(() -> job.check(TrainingOptions.defaults()))
        .isInstanceOf(Failure.class)
        .hasMessage(message);
  }
}
