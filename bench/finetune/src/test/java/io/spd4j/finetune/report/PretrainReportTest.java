package io.spd4j.finetune.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.jsoup.Jsoup;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Document;

class PretrainReportTest {
  /** Returns a run whose loss falls to 1 in 150 steps, then is the given one in the last 100. */
  private static Curve curve(String state, long seed, double last, double heldOut) {
    List<Curve.Step> steps =
        IntStream.range(0, 250)
            .mapToObj(i -> new Curve.Step(i < 150 ? 8 - i * 7 / 149.0 : last, 100 + seed, 5))
            .toList();
    return new Curve(state, seed, steps, heldOut);
  }

  private static PretrainReport report(Curve... curves) {
    Machine machine = new Machine("cpu", 2, "25", "Linux");
    return new PretrainReport(Map.of("batch", 4), machine, Instant.EPOCH, List.of(curves));
  }

  private static final PretrainReport REPORT =
      report(
          curve("float32", 1, 0.5, 2),
          curve("8bit", 1, 0.502, 1.998),
          curve("float32", 2, 0.7, 2),
          curve("8bit", 2, 0.693, 2.002));

  @Test
  void theTableHasTheLargestDifferenceFromTheFirstState() {
    assertThat(REPORT.table())
        .startsWith(
            """
            | state   | seeds |   loss | loss, to float32 | held-out loss | held-out loss, to float32 | ms per step | ms in optimizer |
            |:--------|------:|-------:|-----------------:|--------------:|--------------------------:|------------:|----------------:|
            | float32 |     2 | 0.6000 |          +0.000% |        2.0000 |                   +0.000% |       101.5 |            5.00 |
            | 8bit    |     2 | 0.5975 |          -1.000% |        2.0000 |                   -0.100% |       101.5 |            5.00 |

            """
                .indent(0));
    assertThat(report().table()).isEqualTo("no run was completed");
  }

  @Test
  @EnabledIf("io.spd4j.finetune.report.Fonts#present")
  void writesTheNumbersAndOnePicture(@TempDir Path folder) throws Exception {
    Path json = folder.resolve("pretrain.json");
    Path svg = folder.resolve("pretrain.svg");
    assertThat(REPORT.write(folder)).contains("numbers: " + json, "picture: " + svg);

    Map<?, ?> read = Json.read(Files.readAllBytes(json), Map.class);
    Map<?, ?> run = (Map<?, ?>) ((List<?>) read.get("runs")).get(1);
    assertThat(run.get("state")).isEqualTo("8bit");
    assertThat((Double) run.get("final_loss")).isCloseTo(0.502, within(1e-9));
    assertThat(run.get("held_out_loss")).isEqualTo(1.998);
    assertThat((List<?>) run.get("loss")).hasSize(250);
    Document picture =
        DocumentBuilderFactory.newNSInstance().newDocumentBuilder().parse(svg.toFile());
    assertThat(charts(picture)).isEqualTo(2);
    assertThat(Files.readString(svg)).contains("y=\"0px\"", "y=\"320px\"", "height=\"640\"");
    assertThat(Jsoup.parse(Files.readString(svg)).select("[id]").eachAttr("id"))
        .doesNotHaveDuplicates();
  }

  private static int charts(Document picture) {
    return picture.getDocumentElement().getElementsByTagName("svg").getLength();
  }

  @Test
  @EnabledIf("io.spd4j.finetune.report.Fonts#present")
  void aSingleStateHasNothingToDifferFrom(@TempDir Path folder) throws Exception {
    report(curve("bf16", 1, 0.5, 2)).write(folder);

    assertThat(Files.readString(folder.resolve("pretrain.svg"))).contains("height=\"320\"");
    assertThat(report().write(folder)).doesNotContain("picture");
  }
}
