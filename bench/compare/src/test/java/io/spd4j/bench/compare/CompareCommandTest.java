package io.spd4j.bench.compare;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.bench.Cli;
import io.spd4j.bench.compare.CaseResult.Entry;
import io.spd4j.bench.compare.Competitor.Kind;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.State;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CompareCommandTest {
  @TempDir private Path folder;

  private Cli quick(String... options) {
    String[] command = {"compare", "--quick", "--shape=many:3x5000", "--results=" + folder};
    Cli run = Cli.run(Stream.concat(Stream.of(command), Stream.of(options)).toArray(String[]::new));
    assertThat(run.err()).isEmpty();
    assertThat(run.status()).isZero();
    return run;
  }

  @Test
  void comparesTheBackends() throws IOException, Failure {
    Cli run =
        quick(
            "--parts=cases",
            "--only=spd4j-(native|vector|scalar)|pytorch-fused",
            "--python=" + folder.resolve("no-python"));

    assertThat(run.out()).contains("pytorch-fused      absent: ", "many:3x5000, AdamW, 2 threads");
    assertThat(folder.resolve("bench.md")).content().contains("## many:3x5000, 2 threads");
    assertThat(folder.resolve("bench-many-3x5000.svg")).content().contains("<svg");
    Bench bench = BenchJson.read(folder.resolve("bench.json"));
    assertThat(bench.quick()).isTrue();
    assertThat(bench.participants()).hasSize(4);
    assertThat(bench.cases())
        .extracting(c -> c.step().ruleName())
        .containsExactly(
            "AdamW", "SPD, all selected", "SPD, none selected, 8bit", "SPD, all selected, 8bit");
    for (CaseResult result : bench.cases()) {
      List<Entry> entries = result.entries();
      assertThat(entries).extracting(Entry::kind).containsOnly(Kind.OURS);
      assertThat(entries).isNotEmpty();
      assertThat(entries).allMatch(Entry::measured);
      assertThat(entries)
          .extracting(Entry::difference)
          .allMatch(d -> result.step().state().equals(State.FLOAT32) ? d == 0 : d > 0 && d < 0.5);
      assertThat(entries).extracting(e -> e.rounds().length).allMatch(rounds -> rounds >= 3);
    }
  }

  @Test
  void timesTheFirstStepsOfFreshJvms() throws IOException, Failure {
    quick("--parts=first");

    assertThat(folder.resolve("bench.md")).content().contains("## The first second");
    Bench bench = BenchJson.read(folder.resolve("bench.json"));
    assertThat(bench.first()).extracting(FirstSteps::name).endsWith("spd4j-vector", "spd4j-scalar");
    assertThat(bench.first())
        .allMatch(f -> f.first() > 0 && f.tenth() > 0 && f.hundredth() > 0 && f.rest() > 0);
  }

  @Test
  void refusesZeroThreads() {
    assertThat(Cli.run("compare", "--threads", "0").status()).isEqualTo(2);
  }

  @Test
  void writesNothingIfItOnlyCompares() throws IOException {
    Path old = Files.writeString(folder.resolve("old.json"), "{}");
    Cli refused = Cli.run("compare", "--against", old.toString(), "--results", folder.toString());

    assertThat(refused.status()).isEqualTo(2);
    assertThat(refused.err()).hasLineCount(1);
    assertThat(folder).isDirectoryNotContaining(file -> !file.equals(old));
  }
}
