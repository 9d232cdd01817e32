package io.spd4j.finetune.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.function.IntPredicate;
import org.jsoup.Jsoup;
import org.jsoup.nodes.Element;
import org.junit.jupiter.api.Test;

class SelectionMapTest {
  private static final List<String> TENSORS =
      List.of("embeddings.a", "encoder.layer.0.b", "encoder.layer.0.c");

  @Test
  void coloursTheStepsInWhichATensorWasSelected() {
    Figure map = map(4, step -> step == 1, step -> false, step -> step >= 2);
    Element svg = svg(map);

    // A gap separates the rows of layer 0.
    assertThat(cells(svg, "1.0")).isEqualTo("M1 7.0h1M2 43.0h1M3 43.0h1");
    assertThat(svg.select("path[stroke]").eachAttr("d").stream().filter(d -> !d.isEmpty()))
        .hasSize(1);
    assertThat(svg.select("text").eachText())
        .containsExactly(
            "embeddings", "a", "25.0%", "layer 0", "b", "0.0%", "c", "50.0%", "step 1", "step 4");
    assertThat(map.caption()).contains("each column a step", "the method, not a fault");
  }

  @Test
  void shadesTheShareOfManySteps() {
    Element svg = svg(map(240, step -> step % 2 == 0, step -> step < 2, step -> step == 239));

    assertThat(cells(svg, "0.5").split("M")).hasSize(1 + 120 + 1).endsWith("119 43.0h1");
    assertThat(cells(svg, "1.0")).isEqualTo("M0 29.0h1");
    assertThat(svg.select("text").eachText()).contains("50.0%", "0.8%", "0.4%", "step 240");
  }

  @Test
  void showsRareSelections() {
    Element svg = svg(map(120 * 50, step -> step == 0, step -> false, step -> false));

    assertThat(cells(svg, "0.1")).isEqualTo("M0 7.0h1");
  }

  @Test
  void isBlankWhereNothingWasSelected() {
    Element svg = svg(map(10, step -> false, step -> false, step -> false));

    assertThat(svg.select("path[stroke]").eachAttr("d")).hasSize(10).containsOnly("");
    assertThat(svg.select("path.blank").attr("d")).isEqualTo("M0 7.0h10M0 29.0h10M0 43.0h10");
  }

  private static String cells(Element svg, String opacity) {
    return svg.select("path[stroke-opacity=" + opacity + "]").attr("d");
  }

  private static Element svg(Figure map) {
    return Jsoup.parse(map.panels().getFirst().svg()).selectFirst("svg");
  }

  private static Figure map(int steps, IntPredicate... selected) {
    History history = new History(List.of(), TENSORS);
    for (int step = 0; step < steps; step++) {
      BitSet bits = new BitSet();
      for (int i = 0; i < selected.length; i++) {
        bits.set(i, selected[i].test(step));
      }
      history.add(new History.Step(0.5, 1, 1e-5, 400, 12, 60, 4, bits));
    }
    return SelectionMap.of(
        new Run(
            new Setup("SPD", 1, 5e-5, "float32", ""),
            1,
            steps,
            true,
            Map.of(),
            1,
            history,
            null,
            null,
            List.of()),
        "red");
  }
}
