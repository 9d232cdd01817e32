package io.spd4j.bench;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.Backend;
import io.spd4j.SpdReport;
import java.io.IOException;
import java.util.Arrays;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class StepTest {
  static final String[] FIELDS = {
    "shape",
    "rule",
    "backend",
    "threads",
    "select",
    "state",
    "numel",
    "tensors",
    "selected",
    "median_ms",
    "min_ms",
    "bytes_per_param",
    "gb_per_s",
    "copy_gb_per_s"
  };

  @ParameterizedTest
  @CsvSource({
    "adamw, none, 28, 0",
    "adamw, all, 28, 0",
    "l2sp, natural, 32, 0",
    "l2sp_coupled, natural, 32, 0",
    "spd, none, 32, 0",
    "spd, all, 44, 3",
  })
  void printsOneLineOfJson(String rule, String select, String bytes, String selected)
      throws IOException {
    Map<String, String> line =
        step("--shape", "many:3x5000", "--rule", rule, "--select", select, "--threads", "2");

    assertThat(line)
        .containsOnlyKeys(FIELDS)
        .containsEntry("shape", "many:3x5000")
        .containsEntry("rule", rule)
        .containsEntry("threads", "2")
        .containsEntry("select", select)
        .containsEntry("state", "float32")
        .containsEntry("numel", "15000")
        .containsEntry("tensors", "3")
        .containsEntry("selected", selected)
        .containsEntry("bytes_per_param", bytes);
    for (String measured : new String[] {"median_ms", "min_ms", "gb_per_s", "copy_gb_per_s"}) {
      assertThat(Double.parseDouble(line.get(measured))).isPositive();
    }
  }

  /** 10,000 elements are 156 groups of 64 and a rest, so a moment in 8 bits has 10,628 bytes. */
  @ParameterizedTest
  @CsvSource({
    "split, adamw, none, 28",
    "split, spd, all, 44",
    "bf16, adamw, none, 14",
    "bf16, spd, all, 22",
    "8bit, adamw, none, 14.251",
    "8bit, spd, none, 16.251",
    "8bit, spd, all, 26.251",
    "param=split+grad=bf16, spd, all, 42",
  })
  void aStateSaysHowArraysAreStored(String state, String rule, String select, String bytes)
      throws IOException {
    Map<String, String> line =
        step("--shape", "one:10K", "--rule", rule, "--select", select, "--state", state);

    assertThat(line)
        .containsOnlyKeys(FIELDS)
        .containsEntry("state", state)
        .containsEntry("bytes_per_param", bytes);
  }

  @Test
  void naturalGradientsSelectSomeTensors() throws IOException {
    Map<String, String> line = step("--shape", "many:40x100", "--rule", "spd");

    assertThat(Integer.parseInt(line.get("selected"))).isBetween(8, 32);
    assertThat(Double.parseDouble(line.get("bytes_per_param"))).isBetween(32.0, 44.0);
  }

  @ParameterizedTest
  @EnumSource
  void runsOnTheBackendAskedFor(Backend backend) throws IOException {
    boolean available =
        Backend.availability().stream().anyMatch(a -> a.backend() == backend && a.available());
    String name = backend.name().toLowerCase(Locale.ROOT);
    String[] arguments = {"--shape", "one:100", "--rule", "spd", "--backend", name};

    if (available) {
      assertThat(step(arguments)).containsKeys(FIELDS).containsEntry("backend", name);
    } else {
      Cli refused = Cli.run(command(arguments));
      assertThat(refused.err()).containsIgnoringCase(name + " is not available: ").hasLineCount(1);
      assertThat(refused.status()).isEqualTo(2);
    }
  }

  @Test
  void detectsAWrongSelection() {
    SpdReport selected = new SpdReport("p", 1, -1, 0.1, 1, 1, true, 2, 2, 0.1);
    SpdReport once = new SpdReport("p", 2, -1, 0.1, 1, 1, true, 2, 1, 0.1);
    SpdReport notProjected = new SpdReport("p", 2, -1, 0, 1, 1, true, 2, 2, 0.1);

    assertThat(Select.ALL.agrees(selected)).isTrue();
    assertThat(Select.ALL.agrees(once)).isFalse();
    assertThat(Select.ALL.agrees(notProjected)).isFalse();
    assertThat(Select.NONE.agrees(once)).isFalse();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "--rule spd",
        "--shape none --rule spd",
        "--shape lora --rule sgd",
        "--shape lora --rule spd --state 4bit"
      })
  void badUsageIsStatus2(String arguments) {
    Cli refused = Cli.run(("step " + arguments).split(" "));

    assertThat(refused.status()).isEqualTo(2);
    assertThat(refused.out()).isEmpty();
  }

  @Test
  void tooLargeAShapeIsRefusedInOneSentence() {
    Cli refused = Cli.run(command("--shape", "one:100000G", "--rule", "adamw"));

    assertThat(refused.err()).startsWith("there is not enough memory").hasLineCount(1);
    assertThat(refused.status()).isEqualTo(2);
  }

  @Test
  void aGraphOnTheHostIsRefusedInOneSentence() {
    Cli refused = Cli.run(command("--shape", "one:100", "--rule", "adamw", "--graph"));

    assertThat(refused.err()).startsWith("--graph needs --backend cuda").hasLineCount(1);
    assertThat(refused.status()).isEqualTo(2);
  }

  @Test
  void withoutArgumentsUsageIsPrinted() {
    assertThat(Cli.run().out()).contains("Usage:", "replay", "step");
  }

  private static Map<String, String> step(String... arguments) throws IOException {
    return Cli.run(command(arguments)).json();
  }

  private static String[] command(String... arguments) {
    return Stream.concat(Stream.of("step", "--repeat", "3"), Arrays.stream(arguments))
        .toArray(String[]::new);
  }
}
