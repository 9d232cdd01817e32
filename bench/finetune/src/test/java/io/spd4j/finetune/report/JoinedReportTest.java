package io.spd4j.finetune.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.spd4j.finetune.cli.Failure;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jsoup.Jsoup;
import org.jsoup.nodes.Document;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class JoinedReportTest {
  private static final Predicate<Run> ALL = run -> true;

  @TempDir private Path folder;

  /** Writes the numbers of a part of a report. */
  private Path write(FinetuneReport report, Predicate<Run> part) throws IOException {
    Path file = Files.createTempFile(folder, "part", ".json");
    return Files.write(file, json(with(report, report.settings(), part)));
  }

  private static FinetuneReport with(
      FinetuneReport report, Map<String, Object> settings, Predicate<Run> part) {
    return new FinetuneReport(
        report.title(),
        settings,
        report.machine(),
        report.finished(),
        report.testSets(),
        report.runs().stream().filter(part).toList(),
        report.trials().stream().filter(part).toList());
  }

  private static FinetuneReport set(FinetuneReport report, String setting, Object value) {
    Map<String, Object> settings = new LinkedHashMap<>(report.settings());
    settings.put(setting, value);
    return with(report, settings, ALL);
  }

  private static byte[] json(FinetuneReport report) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    Json.write(JsonReport.of(report), out);
    return out.toByteArray();
  }

  private static FinetuneReport join(Path... files) throws Failure {
    return JoinedReport.of(Arrays.asList(files));
  }

  private static void assertSame(FinetuneReport report, FinetuneReport expected)
      throws IOException {
    assertThat(new String(json(report), StandardCharsets.UTF_8).lines().toList())
        .isEqualTo(new String(json(expected), StandardCharsets.UTF_8).lines().toList());
  }

  private static void assertRefused(String message, Path... files) {
    assertThatExceptionOfType(Failure.class).isThrownBy(() -> join(files)).withMessage(message);
  }

  /** Returns reports with their runs as a job does them: seed by seed. */
  static List<FinetuneReport> samples() {
    Run diverged = PairedRuns.run("AdamW", 0.01, 1, 90, -1, Double.NaN);
    diverged.history().deviation(List.of());
    diverged.history().stop("head");
    return List.of(
        seedBySeed(SampleReport.seeds(7, 3)),
        seedBySeed(SampleReport.chosen(2)),
        seedBySeed(SampleReport.interpolated(12, 2)),
        SampleReport.interrupted(12),
        set(set(PairedRuns.report(diverged), "lr", List.of(2e-5, 0.1 + 0.2)), "clip", null));
  }

  private static FinetuneReport seedBySeed(FinetuneReport report) {
    return new FinetuneReport(
        report.title(),
        report.settings(),
        report.machine(),
        report.finished(),
        report.testSets(),
        sorted(report.runs()),
        sorted(report.trials()));
  }

  private static List<Run> sorted(List<Run> runs) {
    return runs.stream().sorted(Comparator.comparing(Run::seed)).toList();
  }

  @ParameterizedTest
  @MethodSource("samples")
  void whatWasWrittenIsReadToTheBit(FinetuneReport report) throws Exception {
    assertSame(join(write(report, ALL)), report);

    FinetuneReport small = report.withoutHistory();
    assertSame(join(write(small, ALL)), small);
  }

  @ParameterizedTest
  @MethodSource("samples")
  void partsMakeTheWhole(FinetuneReport whole) throws Exception {
    FinetuneReport report = whole.withoutHistory(); // which would take long to write
    assertMadeOf(report, run -> run.setup().rule().equals("AdamW"));
    assertMadeOf(report, run -> run.setup().data().isEmpty());
    Predicate<Run> one = run -> run.seed() < 2;
    assertMadeOf(report, one.negate());
    assertThat(join(write(report, one), write(report, one.negate())).markdown())
        .isEqualTo(whole.markdown());
  }

  private void assertMadeOf(FinetuneReport report, Predicate<Run> first) throws Exception {
    assertSame(join(write(report, first), write(report, first.negate())), report);
  }

  @Test
  void aSweepCanBeShared() throws Exception {
    assertMadeOf(SampleReport.sweep(3, 2), run -> run.setup().lambda() < 0.1);
  }

  @Test
  void trialsThatSeveralJobsDidAreTakenOnce() throws Exception {
    FinetuneReport report = seedBySeed(SampleReport.chosen(2));
    Path one = write(report, run -> run.seed() != 2);
    Path two = write(report, run -> run.seed() != 1);
    assertSame(join(one, two), report);

    String other = Files.readString(two).replaceFirst("\"loss\" : 0.06,", "\"loss\" : 0.07,");
    Files.writeString(two, other);
    assertRefused(
        one
            + " and "
            + two
            + " both have the run AdamW, λ = 0.01, lr = 5e-5, state float32, data plain, seed 11",
        one,
        two);
  }

  @Test
  void aRunIsTakenOnce() throws Exception {
    Path all = write(SampleReport.seeds(3, 2), ALL);
    Path spd = write(SampleReport.seeds(3, 2), run -> run.setup().rule().equals("SPD"));

    assertRefused(
        all
            + " and "
            + spd
            + " both have the run SPD, λ = 1, lr = 5e-5, state float32, data plain, seed 1",
        all,
        spd);
  }

  @Test
  void anInterruptedRunGivesWayToACompleteOne() throws Exception {
    FinetuneReport interrupted = SampleReport.interrupted(12);
    FinetuneReport complete = SampleReport.seeds(12, 1);
    Path first = write(interrupted, ALL);
    Path spd = write(complete, run -> run.setup().rule().equals("SPD"));
    FinetuneReport expected =
        with(complete, complete.settings(), r -> !r.setup().rule().equals("L2-SP"));

    assertSame(join(first, spd), expected);
    Path adamw = write(complete, run -> run.setup().rule().equals("AdamW"));
    Path rest = write(interrupted, run -> run.setup().rule().equals("SPD"));
    assertSame(join(adamw, spd, rest), expected);
    assertThat(join(adamw, rest).markdown())
        .contains("SPD, λ = 1, interrupted after 4 of 12 steps");
    assertRefused(
        first
            + " and "
            + rest
            + " both have the run SPD, λ = 1, lr = 5e-5, state float32, data plain, seed 1",
        first,
        rest);
  }

  @Test
  void settingsOfTheRunsAndThreadsAreUnited() throws Exception {
    FinetuneReport one =
        set(set(set(SampleReport.of(List.of()), "lr", 1e-5), "data", "plain"), "threads", 2);
    FinetuneReport two = set(one, "lr", List.of(1e-5, 5e-5));
    two = set(set(two, JoinedReport.PROBING, 30), "threads", 4);
    Map<String, Object> joined = join(write(one, ALL), write(two, ALL), write(one, ALL)).settings();

    assertThat(joined.get("lr")).isEqualTo(List.of(1e-5, 5e-5));
    assertThat(joined.get("data")).isEqualTo("plain");
    assertThat(joined.get("threads")).isEqualTo(List.of(2, 4));
    assertThat(joined.get(JoinedReport.PROBING)).isEqualTo(30);
    assertThat(joined).doesNotContainKey("machines");
    Path thirty = write(two, ALL);
    Path forty = write(set(two, JoinedReport.PROBING, 40), ALL);
    assertRefused(
        forty
            + " cannot be joined with "
            + thirty
            + ": LP-FT, steps for the head alone: 40, not 30",
        write(one, ALL),
        thirty,
        forty);
  }

  @Test
  void settingsKeepTheirOrder() throws Exception {
    FinetuneReport whole = SampleReport.of(List.of());
    Map<String, Object> settings = new LinkedHashMap<>();
    whole
        .settings()
        .forEach((name, value) -> {
          settings.put(name, value);
          if (name.equals("tokens")) {
            settings.put(JoinedReport.PROBING, 3);
          }
        });
    Path with = write(with(whole, settings, ALL), ALL);
    Path without = write(whole, ALL);

    List<String> order = List.copyOf(settings.keySet());
    assertThat(join(with, without).settings().keySet()).containsExactlyElementsOf(order);
    assertThat(join(without, with).settings().keySet()).containsExactlyElementsOf(order);
  }

  @Test
  void otherSettingsAreRefused() throws Exception {
    FinetuneReport report = SampleReport.seeds(2, 1);
    Path sixteen = write(report, ALL);
    Path eight = write(set(report, "batch size", 8), ALL);
    Path grouped = write(set(report, "batches", "of similar length"), ALL);

    assertRefused(
        eight + " cannot be joined with " + sixteen + ": batch size: 8, not 16", sixteen, eight);
    assertRefused(
        grouped + " cannot be joined with " + sixteen + ": batches: of similar length, not (none)",
        sixteen,
        grouped);
    assertRefused(
        sixteen + " cannot be joined with " + grouped + ": batches: (none), not of similar length",
        grouped,
        sixteen);
  }

  @Test
  void aReportMayLackATestOfOtherData() throws Exception {
    FinetuneReport report = SampleReport.of(List.of());
    Path all = write(report, ALL);
    Path fewer = write(tested(report, List.of("in-distribution", "hard-ham-1")), ALL);
    Path other = write(tested(report, List.of("in-distribution", "easy")), ALL);
    Path order = write(tested(report, List.of("hard-ham-1", "in-distribution")), ALL);

    assertThat(join(fewer, all).testSets()).isEqualTo(report.testSets());
    assertRefused(
        other
            + " cannot be joined with "
            + all
            + ": test sets: [in-distribution, easy], not [in-distribution, easy-ham-2 + spam-2, hard-ham-1]",
        other,
        all);
    assertThatExceptionOfType(Failure.class).isThrownBy(() -> join(all, order));
  }

  private static FinetuneReport tested(FinetuneReport report, List<String> testSets) {
    return new FinetuneReport(
        report.title(),
        report.settings(),
        report.machine(),
        report.finished(),
        testSets,
        List.of(),
        List.of());
  }

  @Test
  void saysWhichMachines() throws Exception {
    Path here = write(SampleReport.of(List.of()), ALL);
    FinetuneReport other =
        new FinetuneReport(
            SampleReport.of(List.of()).title(),
            SampleReport.of(List.of()).settings(),
            new Machine("Intel", 8, "26", "Linux"),
            Instant.parse("2027-01-01T00:00:00Z"),
            SampleReport.TEST_SETS,
            List.of(),
            List.of());
    FinetuneReport joined = join(here, write(other, ALL));
    List<String> machines =
        List.of(
            "AMD EPYC, 2 cores, JDK 25.0.1+8 (Eclipse Adoptium), Linux 6.18 (amd64)",
            "Intel, 8 cores, JDK 26, Linux");

    assertThat(joined.machine().cpu()).isEqualTo("AMD EPYC");
    assertThat(joined.settings().get("machines")).isEqualTo(machines);
    assertThat(joined.finished()).isEqualTo(other.finished());
    assertThat(join(write(joined, ALL), here).settings().get("machines")).isEqualTo(machines);
  }

  @Test
  void withoutHistoryItIsSmallAndHasTheSameTables() throws Exception {
    FinetuneReport report = SampleReport.sweep(60, 2);
    FinetuneReport small = report.withoutHistory();

    assertThat(json(small).length).isLessThan(json(report).length / 5);
    Document page = page(small);
    assertThat(page.select("table").outerHtml())
        .isEqualTo(page(report).select("table").outerHtml());
    assertThat(page.select("h2").eachText())
        .containsExactly(
            "Results",
            "Differences to AdamW",
            "Differences to AdamW, seed by seed",
            "Accuracy",
            "Against λ",
            "Settings",
            "Machine");
    assertThat(page(SampleReport.chosen(2).withoutHistory()).select("h2").eachText())
        .contains("Against the data", "How λ and the learning rate were chosen");
  }

  @Test
  void someRunsMayLackTheirHistory() throws Exception {
    FinetuneReport report = SampleReport.seeds(20, 2);
    Path whole = write(report, run -> run.seed() < 2);
    Path small = write(report.withoutHistory(), run -> run.seed() == 2);

    for (FinetuneReport joined : List.of(join(whole, small), join(small, whole))) {
      assertThat(joined.markdown()).isEqualTo(report.markdown());
      assertThat(page(joined).select(".warning")).isEmpty();
    }
  }

  private static Document page(FinetuneReport report) {
    return Jsoup.parse(HtmlReport.of(report).html());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "'' | No content",
        "'{' | Unexpected end-of-input",
        "'[1]' | Cannot deserialize",
        "'{}' | Missing creator property 'title'",
      })
  void aFileThatIsNoReportIsRefused(String content, String reason) throws Exception {
    Path file = Files.writeString(folder.resolve("no.json"), content);

    assertThatExceptionOfType(Failure.class)
        .isThrownBy(() -> join(file))
        .withMessageStartingWith(
            file + " is not a report of finetune, or one of another version: " + reason)
        .withMessageNotContaining("\n");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"trials\" : [ ] | \"trials\" : [ ], \"energy\" : 3 | Unrecognized field \"energy\"",
        "\"lambda\" : 0.01 | \"λ\" : 0.01 | Missing creator property 'lambda'",
        "\"correct\" : | \"more\" : 1, \"correct\" : | Unrecognized field \"more\"",
        "\"seed\" : 1, | '' | Missing creator property 'seed'",
        "\"seed\" : 1, | \"seed\" : null, | Cannot map `null` into type `long`",
        "\"lambda\" : 0.01 | \"lambda\" : null | lambda and lr must be finite",
        "\"scores\" : { | \"scores\" : null, \"settings\" : { | Unrecognized field \"settings\"",
        "\"trials\" : [ ] | \"trials\" : null | ''",
        "\"loss\" : [ | \"loss\" : [ 1, | ''",
        "\"total\" : 800 | \"total\" : 0 | Cannot construct",
        "\"in-distribution\", | \"other\", | a run has a score of",
        "\"rule\" : \"AdamW\" | \"rule\" : null | the rule is null",
      })
  void aReportOfAnotherVersionIsRefused(String part, String other, String reason) throws Exception {
    Path file = write(SampleReport.seeds(2, 1), ALL);
    String json = Files.readString(file);
    assertThat(json).contains(part);
    Files.writeString(
        file, json.replaceFirst(Pattern.quote(part), Matcher.quoteReplacement(other)));

    assertThatExceptionOfType(Failure.class)
        .isThrownBy(() -> join(file))
        .withMessageStartingWith(
            file + " is not a report of finetune, or one of another version: " + reason)
        .withMessageNotContaining("\n");
  }

  @Test
  void aReportWithoutATimeIsRefused() throws Exception {
    Path file = write(SampleReport.seeds(2, 1), ALL);
    String json = Files.readString(file);
    Files.writeString(file, json.replaceFirst("\"finished\" : \"[^\"]*\"", "\"finished\" : null"));

    assertThatExceptionOfType(Failure.class)
        .isThrownBy(() -> join(file))
        .withMessageEndingWith("its title, time, machine, settings or test sets are null");
  }

  @Test
  void aFileThatCannotBeReadIsRefused() {
    Path none = folder.resolve("none.json");

    assertRefused("there is no file " + none, none);
    assertThatExceptionOfType(Failure.class)
        .isThrownBy(() -> join(folder))
        .withMessageStartingWith(folder + " cannot be read: ");
  }
}
