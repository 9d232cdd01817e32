package io.spd4j.finetune.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.stream.DoubleStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RunsTest {
  @ParameterizedTest
  @CsvSource({"-1, 5", "6, 5", "0, 0"})
  void aScoreOutOfRangeIsRefused(int correct, int total) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Score(correct, total, 0.25))
        .withMessageContaining(correct + " of " + total);
  }

  @Test
  void aHistoryKeepsItsOwnCopyOfWhatWasSelected() {
    History history = new History(List.of(), List.of("a", "b"));
    BitSet selected = new BitSet();
    selected.set(1);
    history.add(step(1, selected));
    selected.clear();
    history.add(step(1, selected));

    assertThat(history.steps().get(0).selected().get(1)).isTrue();
    assertThat(history.steps().get(1).selected().isEmpty()).isTrue();
  }

  @Test
  void aHistoryRefusesTensorsAndLayersThatItHasNoNamesFor() {
    History history = new History(List.of("layer 0"), List.of("a", "b"));
    BitSet third = new BitSet();
    third.set(2);

    assertThatIllegalArgumentException()
        .isThrownBy(() -> history.add(step(1, third)))
        .withMessage("tensor 2 was selected of only 2");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> history.deviation(List.of(1.0, 2.0)))
        .withMessage("2 deviations for 1 layers");
    assertThat(history.steps()).isEmpty();
    assertThat(history.deviations()).isEmpty();
  }

  @Test
  void deviationsAreThoseAfterTheStepsSoFar() {
    History history = new History(List.of("layer 0"), List.of());
    history.deviation(List.of(0.0));
    history.add(step(1, new BitSet()));
    history.add(step(1, new BitSet()));
    history.deviation(List.of(0.5));

    assertThat(history.deviations())
        .containsExactly(
            new History.Deviation(0, List.of(0.0)), new History.Deviation(2, List.of(0.5)));
  }

  @Test
  void timesAreMedians() {
    History history = new History(List.of(), List.of());
    for (double millis : new double[] {5, 1000, 6, 8}) {
      history.add(step(millis, new BitSet()));
    }
    Run run =
        new Run(
            new Setup("AdamW", 0.01, 5e-5, "float32", ""),
            1,
            4,
            true,
            Map.of(),
            1,
            history,
            null,
            null,
            List.of());

    assertThat(run.stepMillis()).isEqualTo(7);
    assertThat(run.optimizerMillis()).isEqualTo(0.7, within(1e-12));
  }

  @Test
  void withoutStepsThereIsNoMedian() {
    Run run =
        new Run(
            new Setup("SPD", 1, 5e-5, "float32", ""),
            1,
            4,
            false,
            Map.of(),
            0,
            new History(List.of(), List.of()),
            null,
            null,
            List.of());

    assertThat(run.stepMillis()).isNaN();
  }

  @Test
  void aReportRefusesAScoreOfAnotherTestSet() {
    Run run =
        new Run(
            new Setup("SPD", 1, 5e-5, "float32", ""),
            1,
            4,
            true,
            Map.of("elsewhere", new Score(1, 2, 0.25)),
            0,
            new History(List.of(), List.of()),
            null,
            null,
            List.of());

    assertThatIllegalArgumentException()
        .isThrownBy(() -> SampleReport.of(List.of(run)))
        .withMessageContaining("'elsewhere'");
  }

  @Test
  void usesTheSampleStandardDeviation() {
    double[] values = {2, 4, 4, 4, 5, 5, 7, 9};

    assertThat(Statistics.mean(values)).isEqualTo(5);
    assertThat(Statistics.standardDeviation(values)).isEqualTo(Math.sqrt(32 / 7.0), within(1e-12));
    assertThat(Statistics.standardDeviation(new double[] {3})).isNaN();
    assertThat(Statistics.median(new double[] {9, 1, 4})).isEqualTo(4);
  }

  @ParameterizedTest
  @CsvSource({
    "embeddings.LayerNorm.bias, embeddings, LayerNorm.bias",
    "encoder.layer.3.attention.self.query.weight, layer 3, attention.self.query.weight",
    "bert.encoder.layer.11.output.dense.bias, layer 11, output.dense.bias",
    "logits, other, logits",
  })
  void aTensorsNameTellsItsLayer(String name, String layer, String label) {
    assertThat(TensorName.of(name)).isEqualTo(new TensorName(layer, label));
  }

  @Test
  void theBestSettingHasTheHighestInDistributionAccuracy() {
    FinetuneReport report =
        SampleReport.of(
            List.of(
                run(0.1, true, 90),
                run(0.5, true, 95),
                run(0.5, true, 97),
                run(1, true, 95),
                run(2, false, 100)));

    assertThat(Setting.bestOfEachRule(report)).extracting(Setting::lambda).containsExactly(0.5);
  }

  @Test
  void wiseFtIsASettingForEveryAlphaAndEveryLambdaOfItsRuns() {
    FinetuneReport report = SampleReport.of(List.of(tuned(0.01, 0.5), tuned(0.01, 0.25, 0.5)));
    assertThat(Setting.of(report))
        .extracting(Setting::label)
        .containsExactly("LP-FT, λ = 0.01", "WiSE-FT, α = 0.5", "WiSE-FT, α = 0.25");
    assertThat(Setting.of(report).get(1).runs()).hasSize(2);
    assertThat(Setting.of(report).get(2).runs()).hasSize(1);

    FinetuneReport sweep = SampleReport.of(List.of(tuned(0.01, 0.5), tuned(0, 0.5)));
    assertThat(Setting.of(sweep))
        .extracting(Setting::label)
        .containsExactly(
            "LP-FT, λ = 0.01",
            "LP-FT, λ = 0",
            "WiSE-FT of λ = 0.01, α = 0.5",
            "WiSE-FT of λ = 0, α = 0.5");
  }

  private static Run tuned(double lambda, double... alphas) {
    return new Run(
        new Setup("LP-FT", lambda, 5e-5, "float32", ""),
        1,
        4,
        true,
        Map.of(),
        0,
        new History(List.of(), List.of()),
        null,
        null,
        DoubleStream.of(alphas).mapToObj(a -> new Interpolated(a, Map.of(), a)).toList());
  }

  private static Run run(double lambda, boolean complete, int correct) {
    return new Run(
        new Setup("SPD", lambda, 5e-5, "float32", ""),
        1,
        4,
        complete,
        Map.of(SampleReport.TEST_SETS.getFirst(), new Score(correct, 100, 0.25)),
        0,
        new History(List.of(), List.of()),
        null,
        null,
        List.of());
  }

  private static History.Step step(double millis, BitSet selected) {
    return new History.Step(0.5, 1, 1e-5, millis, millis / 10, 30, 10, selected);
  }
}
