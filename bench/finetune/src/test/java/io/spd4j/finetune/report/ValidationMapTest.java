package io.spd4j.finetune.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.function.Function;
import org.jsoup.Jsoup;
import org.jsoup.nodes.Document;
import org.jsoup.nodes.Element;
import org.junit.jupiter.api.Test;

class ValidationMapTest {
  private static final Function<Element, Double> OPACITY =
      cell -> Double.valueOf(cell.attr("fill-opacity"));

  @Test
  void withoutTrialsThereAreNoMaps() {
    assertThat(ValidationMap.of(SampleReport.seeds(4, 1)).panels()).isEmpty();
  }

  @Test
  void aMapForEachRuleAndKindOfData() {
    Figure figure = ValidationMap.of(SampleReport.chosen(2));

    assertThat(figure.panels())
        .extracting(Figure.Panel::title)
        .hasSize(4 * 3)
        .startsWith("AdamW", "L2-SP", "SPD", "AdamW, planted word, p = 0.8");
  }

  @Test
  void theBestCellIsTheStrongestAndTheTestedOneIsFramed() {
    Document map = Jsoup.parse(ValidationMap.of(SampleReport.chosen(2)).panels().get(2).svg());
    List<Element> cells = map.select("rect");

    assertThat(map.select("text").eachText())
        .startsWith("lr = 2e-5", "lr = 5e-5", "lr = 1e-4", "λ = 0.1")
        .contains("λ = 1", "λ = 10", "0.0600", "98.00%", "not finite");
    assertThat(cells).hasSize(9);
    Element best = cells.get(4);
    assertThat(cells).filteredOn(cell -> cell.hasAttr("stroke")).containsExactly(best);
    assertThat(OPACITY.apply(best)).isEqualTo(0.55);
    assertThat(cells).filteredOn(cell -> OPACITY.apply(cell) >= 0.55).containsExactly(best);
    assertThat(OPACITY.apply(cells.get(8))).isEqualTo(0.05); // not finite
  }
}
