package io.spd4j.bench;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.Backend;
import io.spd4j.safetensors.SafetensorsFile;
import io.spd4j.safetensors.SafetensorsWriter;
import io.spd4j.safetensors.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ReplayTest {
  private static final Path REFERENCE = Path.of("..", "src", "test", "resources", "reference");

  @TempDir private Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {
        "adamw",
        "adamw_amsgrad_maximize",
        "l2sp",
        "l2sp_coupled",
        "spd",
        "spd_half_amsgrad",
        "spd_origin"
      })
  void recordedTracesPassOnEveryBackend(String trace) {
    Cli replay = Cli.run("replay", reference(trace).toString());

    assertThat(replay.err()).isEmpty();
    assertThat(replay.status()).isZero();
    String table = replay.out().substring(replay.out().indexOf(trace + ".safetensors"));
    for (Backend.Availability a : Backend.availability()) {
      if (a.available()) {
        assertThat(table).contains("  " + a.backend().name().toLowerCase(Locale.ROOT) + " ");
      }
    }
  }

  /**
   * A slightly wrong setting must not hide behind the limit. An eps of 1e-8 hardly shows in
   * float32, so a larger one is tried there.
   */
  @ParameterizedTest
  @CsvSource({
    "adamw, lr, 1.0001",
    "adamw, beta1, 1.0001",
    "adamw, beta2, 1.0001",
    "adamw, eps, 100",
    "adamw, weight_decay, 1.01",
    "adamw_amsgrad_maximize, lr, 1.0001",
    "adamw_amsgrad_maximize, beta1, 1.0001",
    "adamw_amsgrad_maximize, beta2, 1.0001",
    "adamw_amsgrad_maximize, eps, 1.5",
    "adamw_amsgrad_maximize, weight_decay, 1.01",
    "l2sp, weight_decay, 1.01",
    "l2sp_coupled, weight_decay, 1.01",
    "spd, weight_decay, 1.01",
    "spd_half_amsgrad, weight_decay, 1.01",
    "spd_origin, weight_decay, 1.01",
  })
  void aWrongNumberFails(String trace, String key, double factor) throws IOException {
    Path wrong =
        edited(
            trace,
            settings ->
                settings.compute(key, (k, v) -> Double.toString(Double.parseDouble(v) * factor)),
            tensor -> tensor);

    assertFails(Cli.run("replay", "--threads", "1", wrong.toString()));
  }

  @ParameterizedTest
  @CsvSource({
    "adamw, rule, l2sp",
    "l2sp, rule, l2sp_coupled",
    "spd_half_amsgrad, amsgrad, false",
    "adamw_amsgrad_maximize, maximize, false",
  })
  void anotherRuleFails(String trace, String key, String value) throws IOException {
    Path wrong = edited(trace, settings -> settings.put(key, value), tensor -> tensor);

    assertFails(Cli.run("replay", "--threads", "1", wrong.toString()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"p6.param.3", "p2.exp_avg.1", "p5.exp_avg_sq.8"})
  void aCorruptedValueFails(String name) throws IOException {
    Path wrong =
        edited(
            "spd",
            settings -> {},
            tensor -> {
              if (!tensor.name().equals(name)) {
                return tensor;
              }
              float[] values = tensor.data().toArray(JAVA_FLOAT);
              values[values.length - 1] = Float.intBitsToFloat(~Float.floatToRawIntBits(values[0]));
              return with(tensor, MemorySegment.ofArray(values));
            });

    assertFails(Cli.run("replay", "--threads", "1", wrong.toString()));
  }

  @Test
  void anotherDecisionFails() throws IOException {
    Path wrong =
        edited(
            "spd",
            settings -> {},
            tensor ->
                tensor.name().equals("p3.condition.2")
                    ? with(
                        tensor,
                        MemorySegment.ofArray(new double[] {-tensor.data().get(JAVA_DOUBLE, 0)}))
                    : tensor);

    assertFails(Cli.run("replay", "--threads", "1", wrong.toString()));
  }

  @Test
  void aTruncatedFileIsRefusedInOneSentence() throws IOException {
    byte[] whole = Files.readAllBytes(reference("spd"));
    Path truncated = folder.resolve("truncated.safetensors");
    Files.write(truncated, Arrays.copyOf(whole, whole.length / 2));

    assertRefused(Cli.run("replay", truncated.toString()), truncated + ": tensor 'p");
  }

  @Test
  void aFileThatIsNoTraceIsRefusedInOneSentence() {
    Path batch = reference("minilm_batch");

    assertRefused(
        Cli.run("replay", batch.toString()), batch + ": not an optimizer trace: its metadata");
  }

  @ParameterizedTest
  @CsvSource({
    "rule, sgd, its metadata has rule = 'sgd'",
    "lr, fast, its metadata has lr = 'fast'",
    "lr, -1, lr must be",
    "steps, 0, its metadata has steps = '0'",
    "steps, 9, the tensor p0.grad.9 is missing",
    "tensors, 8, the tensor p7.init is missing",
  })
  void aTraceWithBadMetadataIsRefusedInOneSentence(String key, String value, String why)
      throws IOException {
    Path bad = edited("spd", settings -> settings.put(key, value), tensor -> tensor);

    assertRefused(Cli.run("replay", bad.toString()), bad + ": not an optimizer trace: " + why);
  }

  @Test
  void aMissingFileIsRefusedInOneSentence() {
    Path missing = folder.resolve("missing.safetensors");

    assertRefused(Cli.run("replay", missing.toString()), missing + ": there is no such file");
  }

  @ParameterizedTest
  @ValueSource(strings = {"0", "-1", "two", "1,,2"})
  void badNumbersOfThreadsAreBadUsage(String threads) {
    assertThat(Cli.run("replay", "--threads", threads, reference("spd").toString()).status())
        .isEqualTo(2);
  }

  private static void assertFails(Cli replay) {
    assertThat(replay.out()).contains("FAILED");
    assertThat(replay.status()).isEqualTo(1);
  }

  private static void assertRefused(Cli replay, String beginning) {
    assertThat(replay.err()).startsWith(beginning).hasLineCount(1);
    assertThat(replay.status()).isEqualTo(2);
  }

  private static Tensor with(Tensor tensor, MemorySegment data) {
    return new Tensor(tensor.name(), tensor.dtype(), tensor.shape(), data);
  }

  private static Path reference(String trace) {
    return REFERENCE.resolve(trace + ".safetensors");
  }

  /** A copy of a trace with other settings or values. */
  private Path edited(
      String trace, Consumer<Map<String, String>> settings, UnaryOperator<Tensor> values)
      throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile file = SafetensorsFile.map(reference(trace), arena);
      Map<String, String> metadata = new HashMap<>(file.metadata());
      settings.accept(metadata);
      List<Tensor> tensors = file.tensors().values().stream().map(values).toList();
      Path copy = folder.resolve("edited.safetensors");
      SafetensorsWriter.write(copy, tensors, metadata);
      return copy;
    }
  }
}
