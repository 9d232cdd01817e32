package io.spd4j.bench;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.Backend;
import io.spd4j.bench.Trace.Recorded;
import io.spd4j.finetune.cli.State;
import io.spd4j.safetensors.SafetensorsFile;
import io.spd4j.safetensors.SafetensorsWriter;
import io.spd4j.safetensors.Tensor;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
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
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

class ReplayTest {
  private static final Path REFERENCE =
      Path.of("..", "..", "src", "test", "resources", "reference");

  @TempDir private Path folder;

  static List<Path> traces() throws IOException {
    try (Stream<Path> files = Files.list(REFERENCE)) {
      return files.filter(f -> !f.endsWith("minilm_batch.safetensors")).sorted().toList();
    }
  }

  @ParameterizedTest
  @MethodSource("traces")
  void recordedTracesPassOnEveryBackend(Path trace) {
    Cli replay = Cli.run("replay", trace.toString());

    assertThat(replay.err()).isEmpty();
    assertThat(replay.status()).isZero();
    assertThat(replay.out())
        .endsWith("  passed\n")
        .contains("  recorded ")
        .doesNotContain("FAILED", "own error", "too close", "not judged", "differently");
    String table = replay.out().substring(replay.out().indexOf(".safetensors"));
    for (Backend.Availability a : Backend.availability()) {
      if (a.available()) {
        assertThat(table).contains("  " + a.backend().name().toLowerCase(Locale.ROOT) + " ");
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "spd, split",
    "spd, bf16",
    "spd, 8bit",
    "spd_origin, bf16",
    "spd_origin, 8bit",
    "spd_strong_float32_blocks, bf16",
    "spd_strong_float32_blocks, 8bit",
    "spd_half_amsgrad, split",
    "spd_half_amsgrad, bf16",
    "adamw_amsgrad_maximize, bf16",
    "adamw, 8bit",
    "l2sp, 8bit",
    "l2sp_coupled, bf16",
    "spd_half_amsgrad, param=split+anchor=bf16+moments=bf16",
    "spd_strong_float32_blocks, param=bf16+moments=8bit",
    "l2sp, grad=bf16",
  })
  void recordedTracesPassWithOtherStates(String trace, String state) {
    Cli replay =
        Cli.run("replay", "--threads", "1,3", "--state", state, reference(trace).toString());

    assertThat(replay.err()).isEmpty();
    assertThat(replay.out()).endsWith("  passed\n").doesNotContain("FAILED", "Infinity");
    assertThat(replay.out().contains("  from float32: param at most "))
        .isEqualTo(!state.equals("split"));
    assertThat(replay.status()).isZero();
  }

  @Test
  void amsgradIsNotReplayedWith8Bits() {
    Cli replay = Cli.run("replay", "--state", "8bit", reference("spd_half_amsgrad").toString());

    assertThat(replay.out()).endsWith("  not replayed: there is no AMSGrad with 8-bit moments\n");
    assertThat(replay.status()).isZero();
  }

  /** Float32's amplified rounding errors exceed those of float64 and of our decision. */
  @Test
  void theDifferenceIsAttributed() {
    assertThat(Cli.run("replay", "--threads", "1", reference("spd_strong").toString()).out())
        .containsPattern("params are [0-9e.-]+ apart: mostly ours ");
    String blocks = reference("spd_strong_float32_blocks").toString();
    assertThat(Cli.run("replay", "--threads", "1", blocks).out())
        .containsPattern("params are [0-9e.-]+ apart: mostly the recording's ");
  }

  /**
   * With a slightly wrong setting, float64 does not compute what was recorded. An eps of 1e-8
   * hardly shows in float32, so that trace gets a larger one.
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
    "adamw_amsgrad_maximize, weight_decay, 1.1",
    "l2sp, weight_decay, 1.01",
    "l2sp_coupled, weight_decay, 1.01",
    "spd, weight_decay, 1.01",
    "spd_half_amsgrad, weight_decay, 1.01",
    "spd_origin, weight_decay, 1.01",
  })
  void aWrongNumberIsTheRecordings(String trace, String key, double factor) throws IOException {
    Path wrong =
        edited(
            trace,
            settings ->
                settings.compute(key, (k, v) -> Double.toString(Double.parseDouble(v) * factor)),
            tensor -> tensor);

    assertRecordings(Cli.run("replay", "--threads", "1", wrong.toString()), "");
  }

  @ParameterizedTest
  @CsvSource({
    "adamw, rule, l2sp",
    "l2sp, rule, l2sp_coupled",
    "spd_half_amsgrad, amsgrad, false",
    "adamw_amsgrad_maximize, maximize, false",
  })
  void anotherRuleIsTheRecordings(String trace, String key, String value) throws IOException {
    Path wrong = edited(trace, settings -> settings.put(key, value), tensor -> tensor);

    assertRecordings(Cli.run("replay", "--threads", "1", wrong.toString()), "");
  }

  @ParameterizedTest
  @CsvSource({
    "p6.param.3, param of p6 after step 3 is",
    "p2.exp_avg.1, expAvg of p2 after step 1 is",
    "p5.exp_avg_sq.8, expAvgSq of p5 after step 8 is",
  })
  void aCorruptedValueIsTheRecordings(String name, String what) throws IOException {
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

    assertRecordings(Cli.run("replay", "--threads", "1", wrong.toString()), what);
  }

  @Test
  void anotherDecisionIsTheRecordings() throws IOException {
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

    assertRecordings(
        Cli.run("replay", "--threads", "1", wrong.toString()),
        "SPD decided differently on p3 in step 2, where float64's c = ");
  }

  /** A first gradient at right angles to the deviation. */
  @Test
  void aDecisionThatIsTooCloseToCallIsNoFault() throws IOException {
    Path close;
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile file = SafetensorsFile.map(reference("spd_strong"), arena);
      float[] init = file.tensor("p1.init").data().toArray(JAVA_FLOAT);
      float[] anchor = file.tensor("p1.anchor").data().toArray(JAVA_FLOAT);
      MemorySegment gradient =
          MemorySegment.ofArray(new float[] {init[1] - anchor[1], anchor[0] - init[0]});
      close =
          edited(
              "spd_strong",
              settings -> {},
              tensor ->
                  switch (tensor.name()) {
                    case "p1.grad.1" -> with(tensor, gradient);
                    case "p1.condition.1" -> with(tensor, MemorySegment.ofArray(new double[] {-1}));
                    default -> tensor;
                  });
    }
    Cli replay = Cli.run("replay", "--threads", "1", close.toString());

    assertThat(replay.out())
        .contains("decisions that are too close to call in float32: 1")
        .contains("the recording's own error: ")
        .doesNotContain("SPD decided otherwise")
        .endsWith("  passed\n");
    assertThat(replay.status()).isZero();
  }

  /** The message names the backend, the array, the tensor and the step. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2})
  void aStepOfOursThatIsOutOfBoundsFails(int array) {
    String name = Recorded.values()[array].toString();
    assertThat(
            faulty(
                "float32",
                output -> {
                  MemorySegment floats = Recorded.values()[array].of(output);
                  floats.set(JAVA_FLOAT, 0, 1.000001f * floats.get(JAVA_FLOAT, 0));
                }))
        .contains("  FAILED: scalar: " + name + " of p2 after step 3 is ")
        .contains("  FAILED: scalar: not all runs have the same bits")
        .doesNotContain("own error", "  passed", "FAILED: native", "FAILED: vector");
  }

  /** The last bit of what is stored counts, unless float32 rounding explains it. */
  @ParameterizedTest
  @ValueSource(strings = {"split", "bf16", "8bit"})
  void theLastBitOfAStateCounts(String state) {
    String out =
        faulty(
            state,
            output -> {
              MemorySegment moment = output.stored().expAvg();
              moment.set(JAVA_BYTE, 0, (byte) (moment.get(JAVA_BYTE, 0) ^ 1));
            });
    assertThat(out)
        .contains("  FAILED: scalar: not all runs have the same bits")
        .doesNotContain("  passed", "FAILED: native", "FAILED: vector");
    assertThat(out.contains("  FAILED: scalar: expAvg of p2 after step 3 is "))
        .isEqualTo(!state.equals("split"));
  }

  /** Returns what a replay prints in which step 3 of the scalar backend does damage to p2. */
  private static String faulty(String state, Consumer<StepOutput> damage) {
    StringWriter out = new StringWriter();
    ReplayCommand faulty =
        new ReplayCommand() {
          @Override
          TraceRun run(Trace trace, State state, Backend backend, int threads) {
            return new FaultyRun(trace, state, backend, threads, damage);
          }
        };
    int status =
        new CommandLine(faulty)
            .setOut(new PrintWriter(out))
            .setCaseInsensitiveEnumValuesAllowed(true)
            .execute("--threads", "1", "--state", state, reference("spd_strong").toString());
    assertThat(status).isEqualTo(1);
    return out.toString();
  }

  private static final class FaultyRun extends TraceRun {
    private final boolean faulty;
    private final Consumer<StepOutput> damage;

    FaultyRun(Trace trace, State state, Backend backend, int threads, Consumer<StepOutput> damage) {
      super(trace, state, backend, threads);
      faulty = backend == Backend.SCALAR;
      this.damage = damage;
    }

    @Override
    void step(int k) {
      super.step(k);
      if (faulty && k == 2) {
        damage.accept(output(copies().getFirst().get(2)));
      }
    }
  }

  @Test
  void aTruncatedFileIsRefusedInOneSentence() throws IOException {
    byte[] whole = Files.readAllBytes(reference("spd"));
    Path truncated = folder.resolve("truncated.safetensors");
    Files.write(truncated, Arrays.copyOf(whole, whole.length / 2));

    assertRefused(Cli.run("replay", truncated.toString()), truncated + ": tensor 'p");
  }

  @Test
  void aFileThatIsNotATraceIsRefusedInOneSentence() {
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

  private static void assertRecordings(Cli replay, String what) {
    assertThat(replay.out())
        .contains("  the recording's own error: " + what)
        .endsWith("  passed\n");
    assertThat(replay.status()).isZero();
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
