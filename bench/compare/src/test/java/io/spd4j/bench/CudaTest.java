package io.spd4j.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import io.spd4j.Backend;
import io.spd4j.bench.contest.ArrayKind;
import io.spd4j.bench.contest.Spd4jContestant;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.cuda.Cuda;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Runs on a device, or on the emulated device that `make cuda-on-host` builds. */
class CudaTest {
  private static final String[] DEVICE_FIELDS = {"device", "host_us"};
  private static final String[] GRAPH_FIELDS = {"graph_median_ms", "graph_min_ms", "graph_host_us"};

  @BeforeAll
  static void needsCuda() {
    Cuda.Availability cuda = Cuda.availability();
    assumeThat(cuda.available()).as(cuda.reason()).isTrue();
  }

  @ParameterizedTest
  @MethodSource("io.spd4j.bench.ReplayTest#traces")
  void recordedTracesGiveTheBitsOfTheOtherBackends(Path file) {
    Cli replay = Cli.run("replay", "--threads", "2", file.toString());

    assertThat(replay.err()).isEmpty();
    assertThat(replay.status()).isZero();
    assertThat(replay.out().lines().filter(line -> line.endsWith("  same")))
        .anyMatch(line -> line.startsWith("  cuda "))
        .anyMatch(line -> line.startsWith("  scalar "));
  }

  @ParameterizedTest
  @CsvSource({
    "NONE, true, float32",
    "NONE, false, float32",
    "ALL, true, float32",
    "NATURAL, false, float32",
    "ALL, true, split",
    "NATURAL, true, bf16",
    "ALL, true, 8bit",
    "NATURAL, false, 8bit",
  })
  void aContestantGivesTheSameBitsAsOnTheHost(Select select, boolean anchored, State state)
      throws Failure {
    Shape shape = new Shape("test", List.of(1L, 33L, 5000L), anchored);
    StepCase step = new StepCase(shape, Rule.SPD, select, 1, state);
    try (Spd4jContestant device = Spd4jContestant.of(Backend.CUDA, step);
        Spd4jContestant host = Spd4jContestant.of(Backend.SCALAR, step)) {
      assertThat(device.adam().backend()).isEqualTo(Backend.CUDA);
      assertSameArrays(step, device, host);
      for (int i = 0; i < 2; i++) {
        device.step();
        host.step();
      }
      assertSameArrays(step, device, host);
      assertThat(device.adam().spdReports()).isEqualTo(host.adam().spdReports());
    }
  }

  private static void assertSameArrays(
      StepCase step, Spd4jContestant device, Spd4jContestant host) {
    for (ArrayKind kind : step.timed().arrays()) {
      for (int i = 0; i < step.shape().tensors().size(); i++) {
        assertThat(device.array(kind, i).mismatch(host.array(kind, i))).isEqualTo(-1);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"split", "bf16", "8bit"})
  void tracesWithOtherStatesGiveTheBitsOfTheOtherBackends(String state) {
    String trace = "../../src/test/resources/reference/spd.safetensors";
    Cli replay = Cli.run("replay", "--threads", "2", "--state", state, trace);

    assertThat(replay.err()).isEmpty();
    assertThat(replay.out().lines().filter(line -> line.endsWith("  same")))
        .anyMatch(line -> line.startsWith("  cuda "))
        .anyMatch(line -> line.startsWith("  scalar "));
    assertThat(replay.status()).isZero();
  }

  @ParameterizedTest
  @CsvSource({"adamw, none, 28, 0", "l2sp, natural, 32, 0", "spd, none, 32, 0", "spd, all, 44, 3"})
  void aStepPrintsOneLineOfJson(String rule, String select, String bytes, String selected)
      throws IOException {
    Map<String, String> line = step("--shape", "many:3x5000", "--rule", rule, "--select", select);

    assertThat(line)
        .containsOnlyKeys(with(StepTest.FIELDS, DEVICE_FIELDS))
        .containsEntry("backend", "cuda")
        .containsEntry("threads", "1")
        .containsEntry("device", Cuda.devices().getFirst().name())
        .containsEntry("selected", selected)
        .containsEntry("bytes_per_param", bytes);
    for (String measured : List.of("median_ms", "gb_per_s", "copy_gb_per_s", "host_us")) {
      assertThat(Double.parseDouble(line.get(measured))).isPositive();
    }
  }

  @Test
  void aGraphIsTimedToo() throws IOException {
    Map<String, String> line =
        step("--shape", "many:3x5000", "--rule", "spd", "--select", "all", "--graph");

    assertThat(line).containsOnlyKeys(with(with(StepTest.FIELDS, DEVICE_FIELDS), GRAPH_FIELDS));
    for (String measured : GRAPH_FIELDS) {
      assertThat(Double.parseDouble(line.get(measured))).isPositive();
    }
  }

  @Test
  void tooLargeAShapeIsRefusedInOneSentence() {
    Cli refused = Cli.run("step", "--backend", "cuda", "--shape", "one:100000G", "--rule", "adamw");

    assertThat(refused.err())
        .startsWith("one:100000G: allocating 400000000000000 bytes of memory")
        .hasLineCount(1);
    assertThat(refused.status()).isEqualTo(2);
  }

  private static Map<String, String> step(String... arguments) throws IOException {
    String[] command = {"step", "--backend", "cuda", "--repeat", "3"};
    return Cli.run(with(command, arguments)).json();
  }

  private static String[] with(String[] first, String... second) {
    return Stream.concat(Arrays.stream(first), Arrays.stream(second)).toArray(String[]::new);
  }
}
