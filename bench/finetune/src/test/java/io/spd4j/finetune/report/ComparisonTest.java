package io.spd4j.finetune.report;

import static io.spd4j.finetune.report.PairedRuns.report;
import static io.spd4j.finetune.report.PairedRuns.run;
import static io.spd4j.finetune.report.PairedRuns.setup;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

class ComparisonTest {
  @Test
  void comparesTheRunsOfTheSameSeed() {
    Comparison spd =
        only(
            run("AdamW", 0.01, 1, 90, 20, 2),
            run("AdamW", 0.01, 2, 95, 30, 4),
            run("AdamW", 0.01, 3, 91, 25, 2.5),
            run("SPD", 1, 3, 93, 25, 2), // in another order
            run("SPD", 1, 1, 91, 19, 1),
            run("SPD", 1, 2, 95, 31, 1));

    assertThat(spd.setting().rule()).isEqualTo("SPD");
    assertThat(spd.baseline().rule()).isEqualTo("AdamW");
    assertThat(spd.points()).containsOnlyKeys("id", "hard");
    PairedDifference id = spd.points().get("id");
    assertThat(id.seeds()).containsExactly(3L, 1L, 2L);
    assertValues(id, 2, 1, 0);
    assertThat(id.mean()).isEqualTo(1, within(1e-12));
    assertThat(id.interval().low()).isEqualTo(0);
    assertThat(id.interval().high()).isEqualTo(2, within(1e-12));
    assertThat(id.signs()).isEqualTo(new SignTest(2, 0, 1, id.signs().p()));
    assertThat(id.signs().p()).isEqualTo(0.5, within(1e-12));
    assertValues(spd.points().get("hard"), 0, -2, 2);
    assertValues(spd.deviation(), -0.5, -1, -3);
    assertThat(spd.deviation().mean()).isEqualTo(-1.5);
    assertValues(spd.deviationPercent(), -20, -50, -75);
  }

  @Test
  void leavesOutSeedsThatNotBothHave() {
    Comparison spd =
        only(
            run("AdamW", 0.01, 1, 90, 20, 2),
            run("AdamW", 0.01, 2, 90, -1, 2),
            run(setup("AdamW", 0.01, "float32"), 3, false, -1, -1, 2),
            run("AdamW", 0.01, 4, 90, 20, Double.NaN),
            run("SPD", 1, 1, 91, 21, 1),
            run("SPD", 1, 2, 92, 22, 1),
            run("SPD", 1, 3, 93, 23, 1),
            run("SPD", 1, 4, 94, 24, 1),
            run("SPD", 1, 5, 95, 25, 1));

    assertThat(spd.points().get("id").seeds()).containsExactly(1L, 2L, 4L);
    assertThat(spd.points().get("hard").seeds()).containsExactly(1L, 4L);
    assertThat(spd.deviation().seeds()).containsExactly(1L, 2L);
    assertThat(spd.deviationPercent().seeds()).containsExactly(1L, 2L);
  }

  @Test
  void oneSeedIsNotEnough() {
    assertThat(
            Comparison.of(
                report(
                    run("AdamW", 0.01, 1, 90, 20, 2),
                    run("AdamW", 0.01, 2, 90, 20, 2),
                    run("SPD", 1, 1, 91, 21, 1),
                    run(setup("SPD", 1, "float32"), 2, false, 92, 22, 1),
                    run("L2-SP", 1, 3, 92, 22, 1),
                    run("L2-SP", 1, 4, 92, 22, 1))))
        .isEmpty();
    Comparison spd =
        only(
            run("AdamW", 0.01, 1, 90, 20, 2),
            run("AdamW", 0.01, 2, 90, -1, 2),
            run("SPD", 1, 1, 91, 21, 1),
            run("SPD", 1, 2, 92, 22, 1));
    PairedDifference hard = spd.points().get("hard");
    assertThat(hard.enough()).isFalse();
    assertThat(hard.seeds()).containsExactly(1L);
    assertThat(hard.mean()).isNaN();
    assertThat(hard.interval()).isNull();
    assertThat(hard.signs()).isNull();
  }

  @Test
  void withoutAdamwThereIsNothingToCompareWith() {
    assertThat(Comparison.of(report())).isEmpty();
    assertThat(
            Comparison.of(
                report(
                    run("L2-SP", 1, 1, 90, 20, 2),
                    run("L2-SP", 1, 2, 90, 20, 2),
                    run("SPD", 1, 1, 91, 21, 1),
                    run("SPD", 1, 2, 91, 21, 1))))
        .isEmpty();
  }

  @Test
  void comparesWithTheBestAdamw() {
    List<Comparison> comparisons =
        Comparison.of(
            report(
                run("AdamW", 0.01, 1, 90, 20, 2),
                run("AdamW", 0.01, 2, 90, 20, 2),
                run("AdamW", 0.1, 1, 92, 10, 2),
                run("AdamW", 0.1, 2, 92, 10, 2),
                run("AdamW", 1, 1, 92, 10, 2),
                run("AdamW", 1, 2, 92, 10, 2),
                run("SPD", 1, 1, 91, 21, 1),
                run("SPD", 1, 2, 91, 21, 1)));

    assertThat(comparisons).extracting(c -> c.baseline().lambda()).containsOnly(0.1);
    assertThat(comparisons)
        .extracting(c -> c.setting().label())
        .containsExactly("AdamW, λ = 0.01", "AdamW, λ = 1", "SPD, λ = 1");
  }

  @Test
  void comparesWithinAState() {
    List<Comparison> comparisons =
        Comparison.of(
            report(
                run(setup("AdamW", 0.01, "float32"), 1, true, 90, 20, 2),
                run(setup("AdamW", 0.01, "float32"), 2, true, 90, 20, 2),
                run(setup("SPD", 1, "float32"), 1, true, 91, 20, 2),
                run(setup("SPD", 1, "float32"), 2, true, 91, 20, 2),
                run(setup("AdamW", 0.01, "8bit"), 1, true, 80, 20, 2),
                run(setup("AdamW", 0.01, "8bit"), 2, true, 80, 20, 2),
                run(setup("SPD", 1, "8bit"), 1, true, 83, 20, 2),
                run(setup("SPD", 1, "8bit"), 2, true, 83, 20, 2),
                run(setup("SPD", 1, "bf16"), 1, true, 83, 20, 2),
                run(setup("SPD", 1, "bf16"), 2, true, 83, 20, 2)));

    assertThat(comparisons)
        .extracting(c -> c.setting().setup().state())
        .containsExactly("float32", "8bit");
    assertThat(comparisons)
        .allMatch(c -> c.baseline().setup().state().equals(c.setting().setup().state()));
    assertThat(comparisons.get(0).points().get("id").mean()).isEqualTo(1, within(1e-12));
    assertThat(comparisons.get(1).points().get("id").mean()).isEqualTo(3, within(1e-12));
  }

  @Test
  void comparesWithinTheSameData() {
    Setup noisy = new Setup("AdamW", 0.01, 5e-5, "float32", "10% wrong labels");
    Setup noisySpd = new Setup("SPD", 1, 1e-5, "float32", "10% wrong labels");
    List<Comparison> comparisons =
        Comparison.of(
            report(
                run("AdamW", 0.01, 1, 90, 20, 2),
                run("AdamW", 0.01, 2, 90, 20, 2),
                run(noisy, 1, true, 80, 20, 2),
                run(noisy, 2, true, 80, 20, 2),
                run(noisySpd, 1, true, 86, 20, 2),
                run(noisySpd, 2, true, 86, 20, 2)));

    assertThat(comparisons).hasSize(1);
    assertThat(comparisons.getFirst().baseline().setup()).isEqualTo(noisy);
    assertThat(comparisons.getFirst().setting().label()).isEqualTo("SPD, λ = 1, lr = 1e-5");
    assertThat(comparisons.getFirst().points().get("id").mean()).isEqualTo(6, within(1e-12));
  }

  @Test
  void aDistanceOf0HasNoPercentage() {
    Comparison spd =
        only(
            run("AdamW", 0, 1, 90, 20, 0),
            run("AdamW", 0, 2, 90, 20, 0),
            run("SPD", 1, 1, 91, 20, 0),
            run("SPD", 1, 2, 91, 20, 1));

    assertValues(spd.deviation(), 0, 1);
    assertThat(spd.deviationPercent().seeds()).isEmpty();
    assertThat(spd.deviationPercent().mean()).isNaN();
  }

  private static Comparison only(Run... runs) {
    List<Comparison> comparisons = Comparison.of(report(runs));
    assertThat(comparisons).hasSize(1);
    return comparisons.getFirst();
  }

  private static void assertValues(PairedDifference difference, double... values) {
    assertThat(difference.values()).hasSize(values.length);
    for (int i = 0; i < values.length; i++) {
      assertThat(difference.values().get(i)).isEqualTo(values[i], within(1e-12));
    }
  }
}
