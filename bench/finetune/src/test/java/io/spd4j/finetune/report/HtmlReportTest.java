package io.spd4j.finetune.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Instant;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.jsoup.Jsoup;
import org.jsoup.nodes.Attribute;
import org.jsoup.nodes.Document;
import org.jsoup.nodes.Element;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class HtmlReportTest {
  private static final String FONTS = "io.spd4j.finetune.report.Fonts#present";

  @Test
  @EnabledIf(FONTS)
  void showsTheTableAndEveryChart() {
    FinetuneReport report = SampleReport.seeds(40, 3);
    Document page = page(report);

    assertThat(page.title()).isEqualTo(report.title());
    assertThat(page.select("h1").text()).isEqualTo(report.title());
    assertThat(page.select("h2").eachText())
        .containsExactly(
            "Results",
            "Differences to AdamW",
            "Differences to AdamW, seed by seed",
            "Accuracy",
            "Loss",
            "Distance from the pre-trained weights",
            "What SPD selected",
            "Settings",
            "Machine");
    Element results = section(page, "Results");
    assertThat(results.select("tbody tr")).hasSize(3);
    assertThat(results.select("tbody tr").first().children().eachText())
        .isEqualTo(new ResultTable(report).rows().getFirst());
    assertThat(page.select("figure > svg")).hasSize(4 + 1 + 1 + 3 + 1);
    assertThat(page.select("dd").eachText()).contains("all-MiniLM-L6-v2", "AMD EPYC");
  }

  @Test
  @EnabledIf(FONTS)
  void showsTheDifferencesToAdamw() {
    FinetuneReport report = SampleReport.sweep(3, 3);
    Document page = page(report);

    Element table = section(page, "Differences to AdamW");
    PairedTables tables = new PairedTables(report);
    assertThat(table.select("h3").text()).isEqualTo("Compared with AdamW, λ = 0.01");
    assertThat(table.select("tbody tr")).hasSize(8 * 7);
    assertThat(table.select("tbody tr").last().children().eachText())
        .isEqualTo(tables.tables().getFirst().rows().getLast());
    assertThat(table.select("p").eachText()).isEqualTo(tables.notes());
    Element picture = section(page, "Differences to AdamW, seed by seed");
    assertThat(picture.select("figcaption").eachText())
        .containsExactly(
            "in-distribution",
            "easy-ham-2 + spam-2",
            "hard-ham-1",
            "distance from the pre-trained weights");
    for (Element panel : picture.select("figure")) {
      assertThat(panel.select("text").eachText())
          .contains("L2-SP, λ = 0.001", "SPD, λ = 2")
          .doesNotContain("AdamW, λ = 0.01");
    }
  }

  @Test
  @EnabledIf(FONTS)
  void withoutTwoSeedsOrWithoutAdamwNothingIsCompared() {
    FinetuneReport three = SampleReport.seeds(3, 3);
    List<Run> others =
        three.runs().stream().filter(r -> !r.setup().rule().equals("AdamW")).toList();

    for (FinetuneReport report : List.of(SampleReport.seeds(3, 1), SampleReport.of(others))) {
      assertThat(page(report).select("h2").eachText())
          .noneMatch(title -> title.contains("Differences"));
    }
  }

  /** Runs can also be equal, or as different as numbers can be. */
  @ParameterizedTest
  @CsvSource({"2, 2", "0, 1", "1e-300, 1", "1, 1e-300", "-1e308, 1e308", "NaN, 1"})
  @EnabledIf(FONTS)
  void drawsAnyDifferences(double adamw, double spd) {
    HtmlReport report =
        HtmlReport.of(
            PairedRuns.report(
                PairedRuns.run("AdamW", 0.01, 1, 90, 0, adamw),
                PairedRuns.run("AdamW", 0.01, 2, 90, 0, adamw),
                PairedRuns.run("A rule with a name longer than others", 1, 1, 90, 50, spd),
                PairedRuns.run("A rule with a name longer than others", 1, 2, 90, 50, spd)));

    assertThat(report.warning()).isEmpty();
    Element picture = section(Jsoup.parse(report.html()), "Differences to AdamW, seed by seed");
    assertThat(picture.select("figcaption").eachText()).startsWith("id", "hard");
    assertThat(picture.select("text").eachText())
        .contains("A rule with a name longer than others, λ = 1");
  }

  @Test
  @EnabledIf(FONTS)
  void showsWhatASweepFound() {
    Document page = page(SampleReport.sweep(40, 2));

    Element sweep = section(page, "Against λ");
    assertThat(sweep.select("figcaption").eachText())
        .containsExactly(
            "in-distribution",
            "easy-ham-2 + spam-2",
            "hard-ham-1",
            "distance from the pre-trained weights");
    assertThat(sweep.select("li").eachText()).containsExactly("AdamW", "L2-SP", "SPD");
    assertThat(section(page, "Loss").select("li")).hasSize(3);
    assertThat(section(page, "Loss").text())
        .contains("the one with the highest in-distribution accuracy is shown");
  }

  @Test
  @EnabledIf(FONTS)
  void showsTheLineOfWiseFt() {
    Document page = page(SampleReport.interpolated(40, 2));

    Element line = section(page, "Between the probed and the fine-tuned model");
    assertThat(line.select("figcaption").eachText())
        .containsExactly("easy-ham-2 + spam-2", "hard-ham-1");
    for (Element panel : line.select("figure")) {
      assertThat(panel.select("ellipse")).hasSize(5 + 5); // α from 0 to 1, and the methods
    }
    assertThat(line.select("li").eachText())
        .containsExactly(
            "AdamW, λ = 0.01",
            "L2-SP, λ = 0.01",
            "SPD, λ = 1",
            "LP-FT, λ = 0.01",
            "WiSE-FT, α = 0.75");
    assertThat(section(page, "Loss").select("li")).hasSize(4);
    assertThat(page.select("h2").eachText()).doesNotContain("Against λ");
  }

  @Test
  @EnabledIf(FONTS)
  void picturesTheFirstOfSeveralStates() {
    List<Run> runs = new ArrayList<>(SampleReport.seeds(40, 1).runs());
    for (Run r : List.copyOf(runs)) {
      runs.add(
          new Run(
              new Setup(r.setup().rule(), r.setup().lambda(), r.setup().lr(), "8bit", ""),
              r.seed(),
              r.plannedSteps(),
              r.complete(),
              r.scores(),
              r.deviation(),
              r.history(),
              r.weights(),
              null,
              List.of()));
    }
    Document page = page(SampleReport.of(runs));

    assertThat(page.select("tbody tr")).hasSize(6);
    assertThat(page.select("p.note").eachText()).contains("The pictures show the state float32.");
    assertThat(section(page, "Loss").select("li")).hasSize(3);
    assertThat(page.select("h2").eachText()).doesNotContain("Against λ");
    assertThat(page(SampleReport.seeds(40, 1)).text()).doesNotContain("float32");
  }

  @Test
  @EnabledIf(FONTS)
  void marksARuleThatWasOnlyInterrupted() {
    Document page = page(SampleReport.interrupted(60));

    assertThat(section(page, "Results").text()).contains("interrupted after 20 of 60 steps");
    assertThat(section(page, "Accuracy").select("li").eachText())
        .containsExactly("AdamW, λ = 0.01");
    assertThat(section(page, "Loss").select("li").eachText())
        .containsExactly("AdamW, λ = 0.01", "SPD, λ = 1 (interrupted)");
  }

  @Test
  @EnabledIf(FONTS)
  void theChartsFollowThePagesColours() {
    Document page = page(SampleReport.sweep(40, 2));
    String drawings = page.select("svg").outerHtml();

    assertThat(drawings)
        .doesNotContainPattern("(fill|stroke): ?rgb\\(0, ?0, ?0\\);(?!fill-opacity:0)");
    assertThat(drawings).contains("var(--chart-1)", "var(--chart-2)", "var(--chart-3)");
    for (String color : matches("var\\((--chart-\\d+)\\)", drawings).distinct().toList()) {
      // Once for light mode and once for dark mode.
      assertThat(page.select("style").html().split(color + ":", -1)).hasSize(3);
    }
  }

  @Test
  @EnabledIf(FONTS)
  void noTwoChartsShareAClipPath() {
    Document page = page(SampleReport.sweep(40, 2));

    List<String> ids = page.select("[id]").eachAttr("id");
    assertThat(ids).hasSizeGreaterThan(5).doesNotHaveDuplicates();
    assertThat(matches("url\\(#([^)]*)\\)", page.outerHtml())).isNotEmpty().allMatch(ids::contains);
  }

  @Test
  void needsNoOtherFile() {
    Document page = page(SampleReport.sweep(40, 2));

    assertThat(page.select("script, link, img, iframe, object, embed, [src], [href]")).isEmpty();
    assertThat(page.select("style").html()).doesNotContain("url(", "@import");
    for (Element element : page.getAllElements()) {
      for (Attribute attribute : element.attributes()) {
        if (!attribute.getKey().startsWith("xmlns")) {
          assertThat(attribute.getValue()).doesNotContain("http");
        }
      }
    }
  }

  @Test
  void escapesWhateverCameFromOutside() {
    String evil = "</title></svg><script>alert('1')</script> & \"<b>";
    History history = new History(List.of(evil), List.of(evil, "a." + evil));
    history.add(new History.Step(0.5, 1, 1e-5, 400, 12, 60, 4, new BitSet()));
    history.deviation(List.of(1.0));
    Run run =
        new Run(
            new Setup(evil, 1, 5e-5, "float32", ""),
            1,
            1,
            true,
            Map.of(evil, new Score(1, 2, 0.25)),
            1,
            history,
            evil,
            null,
            List.of());
    Document page =
        page(
            new FinetuneReport(
                evil,
                Map.of(evil, evil),
                new Machine(evil, 2, evil, evil),
                Instant.EPOCH,
                List.of(evil),
                List.of(run),
                List.of()));

    assertThat(page.select("script, b")).isEmpty();
    assertThat(page.title()).isEqualTo(evil);
    assertThat(page.select("h1, th, dt, dd, svg text").eachText())
        .filteredOn(evil::equals)
        .hasSize(1 + 1 + 2 + 3 + 2);
    assertThat(page.select("tbody td").first().text()).isEqualTo(evil + ", λ = 1");
  }

  /** Training can fail in any way, and its remains must still be shown. */
  @ParameterizedTest
  @CsvSource({
    "0, 1, 1",
    "1, 1, 1",
    "3, 0, 0",
    "3, NaN, NaN",
    "3, Infinity, Infinity",
    "3, 1e30, 1e300",
    "3, 1e308, 1",
    "3, 1e-30, 1e-20",
    "3, -5, 1",
    "1000, 1, 1",
  })
  @EnabledIf(FONTS)
  void drawsAnyNumbers(int steps, double loss, double deviation) {
    History history = new History(List.of("layer 0"), List.of("a"));
    for (int i = 0; i < steps; i++) {
      history.add(new History.Step(loss * (1 + i), 1, 1e-5, 400, 12, 60, 4, new BitSet()));
      history.deviation(List.of(deviation * i));
    }
    Run run =
        new Run(
            new Setup("SPD", 1e-9, 5e-5, "float32", ""),
            1,
            steps,
            true,
            Map.of("hard-ham-1", new Score(0, 7, 0.25)),
            deviation,
            history,
            null,
            null,
            List.of());

    HtmlReport report = HtmlReport.of(SampleReport.of(List.of(run)));

    assertThat(report.warning()).isEmpty();
    assertThat(Jsoup.parse(report.html()).select("tbody tr")).hasSize(1);
  }

  @Test
  void worksWithoutRuns() {
    Document page = page(SampleReport.of(List.of()));

    assertThat(page.select("tbody tr, svg")).isEmpty();
    assertThat(page.select("thead th")).hasSize(9);
    assertThat(page.text()).contains("without padding; with several seeds");
  }

  private static Document page(FinetuneReport report) {
    return Jsoup.parse(HtmlReport.of(report).html());
  }

  private static Element section(Document page, String title) {
    return page.select("section:has(> h2)").stream()
        .filter(section -> section.selectFirst("h2").text().equals(title))
        .findFirst()
        .orElseThrow();
  }

  private static Stream<String> matches(String pattern, String text) {
    return Pattern.compile(pattern).matcher(text).results().map(result -> result.group(1));
  }

  @Test
  void severalKindsOfDataAndTheirTrialsAreShown() {
    Document page = page(SampleReport.chosen(2));

    assertThat(page.select("h2").eachText())
        .contains("Against the data", "How λ and the learning rate were chosen");
    assertThat(section(page, "Results").select("tbody tr")).hasSize(4 * 3);
    assertThat(section(page, "Differences to AdamW").select("h3").eachText())
        .hasSize(4)
        .contains("Compared with AdamW, λ = 0.01; data: plain");
    assertThat(page.select("tbody").first().select("td:nth-child(2)").eachText())
        .contains("plain", "20% wrong labels");
    List<String> ids = page.select("[id]").eachAttr("id");
    assertThat(ids).doesNotHaveDuplicates();
  }
}
