package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.finetune.cli.ExitStatus;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportCommandTest {
  @TempDir private Path folder;

  /** Runs a job and returns its numbers. */
  private Path job(String name, String options) throws Exception {
    Path results = Files.createDirectories(folder.resolve(name));
    TinyJob job = TinyJob.run(results, () -> false, (options + " --no-weights").split(" "));
    assertThat(job.status()).isZero();
    return results.resolve("tiny.json");
  }

  private Cli report(Object... arguments) {
    List<String> command = new ArrayList<>(List.of("report", "--results", folder.toString()));
    List.of(arguments).forEach(argument -> command.add(argument.toString()));
    return Cli.run(command.toArray(String[]::new));
  }

  @Test
  void joinsWhatJobsShared() throws Exception {
    String both = "--steps 6 --rules lp_ft,spd --data plain,noise=0.25 --seeds ";
    job("whole", both + "1,2");
    Cli cli =
        report(
            "--name",
            "tiny",
            job("plain", "--steps 6 --rules lp_ft"),
            job("noise", "--steps 6 --rules lp_ft --data noise=0.25"),
            job("spd", "--steps 6 --rules spd --data plain,noise=0.25"),
            job("two", both + "2"));

    assertThat(cli.err()).isEmpty();
    assertThat(cli.status()).isZero();
    assertThat(TinyResults.report(folder)).isEqualTo(TinyResults.report(folder.resolve("whole")));
  }

  @Test
  void printsTheTablesOfTheJob() throws Exception {
    TinyJob job =
        TinyJob.run(folder, () -> false, "--rules adamw,spd --seeds 1,2 --no-weights".split(" "));
    Path file = folder.resolve("tiny.json");
    Cli again = report("--name", "again", file);
    Cli small = report("--name", "small", "--no-history", file);

    assertThat(again.out()).startsWith("| rule ").contains("Compared with AdamW, λ = 0.01");
    String tables = again.out().substring(0, again.out().indexOf("report: "));
    assertThat(job.out()).contains(tables);
    assertThat(small.out())
        .isEqualTo(
            tables
                + "report: %s, numbers: %s\n"
                    .formatted(folder.resolve("small.html"), folder.resolve("small.json")));
    assertThat(folder.resolve("again.json")).hasSameTextualContentAs(file);
    assertThat(Files.size(folder.resolve("small.json"))).isLessThan(Files.size(file) / 2);
  }

  @Test
  void refusesWhatCannotBeDone() throws Exception {
    Path file = Files.writeString(folder.resolve("a.json"), "{}");

    assertRefused(file + " would be replaced: choose another --name", "--name", "a", file);
    assertRefused("there is no file none.json", "--name", "all", "none.json");
    assertRefused("--name must be a prefix of a file name, not a path: b/c", "--name", "b/c", file);
    assertThat(report("--name", "all", file).err())
        .startsWith(file + " is not a report of finetune, or one of another version: ");
    assertThat(report("--name", "all").err()).startsWith("Missing required parameter: 'FILE'");
    assertThat(report(file).err()).startsWith("Missing required option: '--name=<name>'");
  }

  private void assertRefused(String sentence, Object... arguments) {
    Cli cli = report(arguments);

    assertThat(cli.err()).isEqualTo(sentence + System.lineSeparator());
    assertThat(cli.status()).isEqualTo(ExitStatus.INPUT);
    assertThat(cli.out()).isEmpty();
    assertThat(folder)
        .isDirectoryContaining("glob:**a.json")
        .isDirectoryNotContaining("glob:**.html");
  }
}
