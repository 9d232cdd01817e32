package io.spd4j.finetune.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.spd4j.finetune.cli.Failure;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.jsoup.Jsoup;
import org.jsoup.nodes.Document;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

class ReportFilesTest {
  private static final FinetuneReport REPORT = SampleReport.interrupted(12);

  private static final Set<PosixFilePermission> PRIVATE =
      PosixFilePermissions.fromString("rw-------");

  @TempDir private Path folder;

  @Test
  void writesBothFilesIntoAFolderThatItCreates() throws Failure, IOException {
    Path results = folder.resolve("results").resolve("today");

    ReportFiles.Written written = ReportFiles.write(results, "spam", REPORT);

    assertThat(written.html()).isEqualTo(results.resolve("spam.html"));
    assertThat(written.json()).isEqualTo(results.resolve("spam.json"));
    assertThat(files(results)).containsExactlyInAnyOrder("spam.html", "spam.json");
    assertThat(Files.readString(written.html())).contains(REPORT.title());
    assertThat(Json.read(Files.readAllBytes(written.json()), Object.class)).isNotNull();
  }

  @Test
  void replacesTheFilesOfAnEarlierRun() throws Failure, IOException {
    Files.writeString(folder.resolve("spam.html"), "old");
    Files.writeString(folder.resolve("spam.json"), "old");

    ReportFiles.write(folder, "spam", REPORT);

    assertThat(files(folder)).containsExactlyInAnyOrder("spam.html", "spam.json");
    assertThat(Files.readString(folder.resolve("spam.html"))).startsWith("<!doctype html>");
    assertThat(Files.readString(folder.resolve("spam.json"))).startsWith("{");
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void aPrivateReportStaysPrivate() throws Failure, IOException {
    ReportFiles.write(folder, "spam", REPORT);
    Files.setPosixFilePermissions(folder.resolve("spam.json"), PRIVATE);

    ReportFiles.write(folder, "spam", REPORT);

    assertThat(Files.getPosixFilePermissions(folder.resolve("spam.json"))).isEqualTo(PRIVATE);
  }

  @Test
  void aFolderThatCannotBeWrittenToIsRefusedInOneSentence() throws IOException {
    Path file = Files.writeString(folder.resolve("results"), "not a folder");

    assertThatExceptionOfType(Failure.class)
        .isThrownBy(() -> ReportFiles.write(file, "spam", REPORT))
        .withMessageStartingWith(file.resolve("spam.json") + " cannot be written (")
        .withMessageEndingWith("or choose another folder");
    assertThat(file).hasContent("not a folder");
  }

  @Test
  void leavesNothingHalfWritten() throws IOException {
    Files.createDirectories(folder.resolve("spam.json").resolve("in the way"));

    assertThatExceptionOfType(Failure.class)
        .isThrownBy(() -> ReportFiles.write(folder, "spam", REPORT));
    assertThat(files(folder)).containsExactly("spam.json");
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void withoutFontsOnlyTheChartsAreMissing() throws IOException, InterruptedException {
    Path fonts = Files.writeString(folder.resolve("fonts.conf"), "<fontconfig></fontconfig>");
    ProcessBuilder java =
        new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Duser.home=" + folder, // the JDK caches the fonts it found here
            "-cp",
            System.getProperty("java.class.path"),
            WriteSample.class.getName(),
            folder.toString());
    java.environment().put("FONTCONFIG_FILE", fonts.toString());
    Process child = java.redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String warning = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);

    assertThat(child.waitFor()).isZero();
    assertThat(warning).startsWith("The report has no charts, because ").hasLineCount(1);
    Document page = Jsoup.parse(Files.readString(folder.resolve("sample.html")));
    assertThat(page.select(".warning").text()).isEqualTo(warning);
    assertThat(page.select("h2").eachText())
        .containsExactly(
            "Results", "Differences to AdamW", "What SPD selected", "Settings", "Machine");
    assertThat(Json.read(Files.readAllBytes(folder.resolve("sample.json")), Object.class))
        .isNotNull();
  }

  private static List<String> files(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).toList();
    }
  }
}
