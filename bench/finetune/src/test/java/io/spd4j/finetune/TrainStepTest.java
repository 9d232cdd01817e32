package io.spd4j.finetune;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.report.Json;
import java.util.Map;
import org.junit.jupiter.api.Test;

class TrainStepTest {
  @Test
  void printsWhatItMeasured() throws Exception {
    String options =
        "--rule spd --batch 2 --length 10 --repeat 3 --threads 1 --backend scalar --math bf16";
    Cli cli = Cli.run(("train-step " + options).split(" "));

    assertThat(cli.err()).isEmpty();
    assertThat(cli.out()).hasLineCount(1);
    Map<?, ?> json = Json.read(cli.out().getBytes(UTF_8), Map.class);
    assertThat(json.get("rule")).isEqualTo("spd");
    assertThat(json.get("backend")).isEqualTo("scalar");
    assertThat(json.get("batch")).isEqualTo(2);
    assertThat(json.get("length")).isEqualTo(10);
    assertThat(json.get("threads")).isEqualTo(1);
    assertThat(json.get("math")).isEqualTo("bf16");
    double step = (Double) json.get("step_ms");
    double optimizer = (Double) json.get("optimizer_ms");
    assertThat(optimizer).isPositive().isLessThan(step);
    double gflops = (Double) json.get("gflops");
    double flops = 3 * Config.MINILM_L6.forwardFlops(2, 16); // padded
    assertThat(gflops).isCloseTo(flops / (step - optimizer) / 1e6, within(0.03 * gflops));
    double sgemm = (Double) json.get("sgemm_gflops");
    assertThat((Double) json.get("of_sgemm")).isCloseTo(gflops / sgemm, within(0.01));
  }

  /** Counts by hand, for one token in one layer, the products of linear layers and attention. */
  @Test
  void countsTheMatrixProducts() {
    Config config = new Config(100, 64, 8, 2, 32, 3);
    double linear = 4 * 8 * 8 + 8 * 32 + 32 * 8;
    double attention = 8 * 5 + 5 * 8;
    assertThat(config.forwardFlops(2, 5)).isEqualTo(2 * 5 * 3 * 2 * (linear + attention));
  }

  @Test
  void refusesWhatTheModelCannotDo() {
    Cli cli = Cli.run("train-step", "--length", "513");
    assertThat(cli.status()).isEqualTo(2);
    assertThat(cli.err().strip()).isEqualTo("--length must be 2 to 512");
  }
}
