package io.spd4j.bench.compare;

import static io.spd4j.bench.compare.Benches.entry;
import static io.spd4j.bench.compare.Benches.result;
import static io.spd4j.finetune.cli.Rule.ADAMW;
import static io.spd4j.finetune.cli.Rule.SPD;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.bench.Cli;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.report.Json;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BenchJsonTest {
  private static final Bench BENCH =
      Benches.of(
          List.of(
              result(
                  "lora",
                  SPD,
                  2,
                  entry(Competitors.NATIVE, SPD, 200, 210.5, 220),
                  entry(Competitors.FUSED, ADAMW, 400, 410, 420),
                  Benches.problem(Competitors.EAGER, SPD, "no \"memory\""))),
          List.of(result("one:1000", ADAMW, 1, entry(Competitors.NATIVE, ADAMW, 350))));

  @TempDir private Path folder;

  private Path write(String name, Bench bench) throws IOException {
    Path file = folder.resolve(name);
    try (OutputStream out = Files.newOutputStream(file)) {
      Json.write(BenchJson.of(bench), out);
    }
    return file;
  }

  @Test
  void readsWhatItWrote() throws IOException, Failure {
    Bench read = BenchJson.read(write("bench.json", BENCH));

    assertThat(read)
        .usingRecursiveComparison()
        .withComparatorForType(Double::compare, Double.class)
        .isEqualTo(BENCH);
  }

  @Test
  void readsRunsThatHaveNoFirstSteps() throws IOException, Failure {
    Path file = write("bench.json", BENCH);
    Files.writeString(
        file,
        Files.readString(file).replaceAll("(?s)\"first\" : \\[.*?\\],\\s*(?=\"micros\")", ""));

    assertThat(BenchJson.read(file).first()).isEmpty();
    assertThat(BenchJson.read(file).micros()).hasSize(2);
  }

  @Test
  void readsRunsThatHaveNoStates() throws IOException, Failure {
    Path file = write("bench.json", BENCH);
    Files.writeString(
        file, Files.readString(file).replaceAll("\"state\" : \"float32\",|\"memory\" : \\d+,", ""));

    CaseResult result = BenchJson.read(file).cases().getFirst();
    assertThat(result.step()).isEqualTo(BENCH.cases().getFirst().step());
    assertThat(result.entries().getFirst().state()).isEqualTo(State.FLOAT32);
    assertThat(result.entries().getFirst().memory()).isNull();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "{", "[]", "{}", "{\"finished\":\"yesterday\"}"})
  void refusesOtherFiles(String content) throws IOException {
    Path file = Files.writeString(folder.resolve("other.json"), content);

    assertThatThrownBy(() -> BenchJson.read(file))
        .isInstanceOf(Failure.class)
        .hasMessage(file + " is not the JSON file of a run");
  }

  @Test
  void refusesAFileThatIsNotThere() {
    Path file = folder.resolve("missing.json");

    assertThatThrownBy(() -> BenchJson.read(file))
        .isInstanceOf(Failure.class)
        .hasMessageStartingWith(file + " cannot be read");
  }

  @Test
  void twoRunsStandSideBySide() throws IOException {
    Bench now =
        Benches.of(
            List.of(
                result(
                    "lora",
                    SPD,
                    2,
                    entry(Competitors.NATIVE, SPD, 100, 105.25, 110),
                    entry(Competitors.EAGER, SPD, 9000)),
                result("minilm", ADAMW, 2, entry(Competitors.NATIVE, ADAMW, 1))),
            BENCH.curve());
    Path old = write("old.json", BENCH);
    write("bench.json", now);

    Cli printed = Cli.run("compare", "--against", old.toString(), "--results", folder.toString());

    assertThat(printed.status()).isZero();
    assertThat(printed.out())
        .isEqualTo(
            """
            old: 2026-01-02T03:04:05Z, a processor, JDK 25
            new: 2026-01-02T03:04:05Z, a processor, JDK 25

            | step                               |              |              old |              new | new/old |
            |:-----------------------------------|:-------------|-----------------:|-----------------:|--------:|
            | lora, SPD, all selected, 2 threads | spd4j-native | 211 ns (205–215) | 105 ns (103–108) |    0.50 |
            | one:1000, AdamW, 1 thread          | spd4j-native | 350 ns (350–350) | 350 ns (350–350) |    1.00 |
            """);
  }
}
