package io.spd4j.bench.compare;

import static io.spd4j.bench.compare.Benches.entry;
import static io.spd4j.bench.compare.Benches.result;
import static io.spd4j.finetune.cli.Rule.ADAMW;
import static io.spd4j.finetune.cli.Rule.SPD;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TargetTest {
  private static final int EAGER = 0;
  private static final int COMPILED = 1;
  private static final int OVER_FUSED = 2;
  private static final int ADAMW_OVER_FUSED = 3;
  private static final int LORA_EAGER = 4;
  private static final int LORA_FUSED = 5;
  private static final int MANY_ADAMW = 6;
  private static final int MANY_SPD = 7;
  private static final int NONE_8BIT = 8;
  private static final int ALL_8BIT = 9;
  private static final int VECTOR = 10;
  private static final int VECTOR_STATES = 11;
  private static final int THREADS = 12;
  private static final int TENTH = 13;
  private static final int REST = 14;

  private static Target target(int which, CaseResult... cases) {
    return Target.of(Benches.of(List.of(cases), List.of())).get(which);
  }

  /** In the made-up runs, the tenth steps take 28 ms and 20 ms, the later ones 21 ms and 20 ms. */
  @Test
  void theFirstStepsOfTheVectorApi() {
    assertThat(target(TENTH).reached()).isTrue();
    assertThat(target(TENTH).ratio().median()).isEqualTo(1.4);
    assertThat(target(REST).reached()).isTrue();
    assertThat(target(REST).ratio().median()).isEqualTo(1.05);
    Bench slow =
        Benches.of(
            List.of(),
            List.of(),
            List.of(
                Benches.first(Competitors.NATIVE, 60e6, 20e6, 20e6, 20e6),
                Benches.first(Competitors.VECTOR, 60e6, 31e6, 20e6, 24e6)));
    assertThat(Target.of(slow).get(TENTH).reached()).isFalse();
    assertThat(Target.of(slow).get(REST).reached()).isFalse();
  }

  private static CaseResult spd(String shape, double ours, String peer, Rule rule, double theirs) {
    return result(
        shape,
        SPD,
        2,
        entry(Competitors.NATIVE, SPD, ours, ours),
        entry(peer, rule, theirs, theirs));
  }

  @ParameterizedTest
  @CsvSource({
    "0, vit-b16, pytorch-eager, SPD, 800, true",
    "0, vit-b16, pytorch-eager, SPD, 799, false",
    "1, vit-b16, pytorch-compiled, SPD, 200, true",
    "1, vit-b16, pytorch-compiled, SPD, 199, false",
    "2, vit-b16, pytorch-fused, ADAMW, 67, true",
    "2, vit-b16, pytorch-fused, ADAMW, 66, false",
    "4, lora, pytorch-eager, SPD, 2000, true",
    "4, lora, pytorch-eager, SPD, 1999, false",
    "5, lora, pytorch-fused, ADAMW, 100, true",
    "5, lora, pytorch-fused, ADAMW, 99, false",
  })
  void spdAgainstPyTorch(
      int which, String shape, String peer, Rule rule, double theirs, boolean reached) {
    assertThat(target(which, spd(shape, 100, peer, rule, theirs)).reached()).isEqualTo(reached);
  }

  @ParameterizedTest
  @CsvSource({"70, 100, true", "71, 101, false"})
  void eightBitStateAgainstPyTorch(double none, double all, boolean reached) {
    CaseResult[] cases = {
      eightBit(Select.NONE, none), eightBit(Select.ALL, all), spd("vit-b16", 1, "x", SPD, 1)
    };

    assertThat(target(NONE_8BIT, cases).reached()).isEqualTo(reached);
    assertThat(target(ALL_8BIT, cases).reached()).isEqualTo(reached);
    assertThat(target(OVER_FUSED, cases).ratio()).isNull(); // that is of float32
  }

  private static CaseResult eightBit(Select select, double ours) {
    return Benches.stored(
        State.EIGHT_BIT,
        select,
        entry(Competitors.NATIVE, SPD, ours),
        entry(Competitors.FUSED, ADAMW, 100));
  }

  @Test
  void theVectorApiMayTakeLongerWithOtherStates() {
    CaseResult split =
        Benches.stored(
            State.SPLIT,
            Select.ALL,
            entry(Competitors.NATIVE, SPD, 100),
            entry(Competitors.VECTOR, SPD, 115));

    assertThat(target(VECTOR_STATES, split).reached()).isTrue();
    assertThat(target(VECTOR_STATES, split).remark()).contains("vit-b16, SPD, all selected, split");
    assertThat(target(VECTOR, split).remark()).isEqualTo("not measured");
    assertThat(target(VECTOR_STATES, vector("lora", 1, 1)).remark()).isEqualTo("not measured");
  }

  @Test
  void aRatioIsTheMedianOfTheRoundsRatios() {
    Target target =
        target(
            ADAMW_OVER_FUSED,
            result(
                "vit-b16",
                ADAMW,
                2,
                entry(Competitors.NATIVE, ADAMW, 10, 30, 90),
                entry(Competitors.FUSED, ADAMW, 20, 10, 100)));

    assertThat(target.ratio().median()).isEqualTo(0.9);
    assertThat(target.reached()).isTrue();
  }

  @Test
  void withoutTheOtherCompetitorItIsNotMeasured() {
    CaseResult absent =
        result(
            "vit-b16",
            SPD,
            2,
            entry(Competitors.NATIVE, SPD, 1),
            Benches.problem(Competitors.EAGER, SPD, "no memory"));

    for (int which : new int[] {EAGER, COMPILED, OVER_FUSED, LORA_EAGER, LORA_FUSED, MANY_SPD}) {
      assertThat(target(which, absent).ratio()).isNull();
      assertThat(target(which, absent).reached()).isFalse();
      assertThat(target(which, absent).remark()).isEqualTo("not measured");
    }
  }

  @Test
  void ignoresFewerThreadsAndOtherSelections() {
    CaseResult none =
        new CaseResult(
            new StepCase(Shape.parse("vit-b16"), SPD, Select.NONE, 2),
            List.of(entry(Competitors.NATIVE, SPD, 1), entry(Competitors.EAGER, SPD, 100)));
    CaseResult alone =
        result(
            "vit-b16", SPD, 1, entry(Competitors.NATIVE, SPD, 1), entry(Competitors.EAGER, SPD, 1));

    assertThat(target(EAGER, none, alone).ratio()).isNull();
  }

  @ParameterizedTest
  @CsvSource({"150, true", "151, false"})
  void manySmallTensors(double many, boolean reached) {
    CaseResult one = result("one:640K", ADAMW, 2, entry(Competitors.NATIVE, ADAMW, 100));
    CaseResult small = result("many:10000x64", ADAMW, 2, entry(Competitors.NATIVE, ADAMW, many));

    assertThat(target(MANY_ADAMW, one, small).reached()).isEqualTo(reached);
  }

  @Test
  void theWorstCaseOfTheVectorApiIsShown() {
    Target target =
        target(
            VECTOR, vector("lora", 100, 105), vector("one:640K", 100, 130), vector("one:5", 1, 1));

    assertThat(target.reached()).isFalse();
    assertThat(target.ratio().median()).isEqualTo(1.3);
    assertThat(target.remark())
        .isEqualTo("missed in 1 of 3 cases, at worst in one:640K, AdamW, 2 threads");
    assertThat(target(VECTOR, vector("lora", 100, 110)).reached()).isTrue();
  }

  private static CaseResult vector(String shape, double ours, double vector) {
    return result(
        shape,
        ADAMW,
        2,
        entry(Competitors.NATIVE, ADAMW, ours),
        entry(Competitors.VECTOR, ADAMW, vector));
  }

  @Test
  void moreThreadsAreSlowerOnlyWhereTheSpreadsDoNotMeet() {
    CaseResult one = threads(1, 100, 110, 120);

    assertThat(target(THREADS, one, threads(2, 60, 61, 62)).reached()).isTrue();
    assertThat(target(THREADS, one, threads(2, 110, 115, 125)).reached()).isTrue();
    assertThat(target(THREADS, one, threads(2, 130, 131, 132)).reached()).isFalse();
    assertThat(target(THREADS, one).remark()).isEqualTo("not measured");
  }

  private static CaseResult threads(int threads, double... rounds) {
    return result("lora", ADAMW, threads, entry(Competitors.NATIVE, ADAMW, rounds));
  }

  @Test
  void theCurveCounts() {
    Bench bench =
        Benches.of(List.of(vector("lora", 100, 100)), List.of(vector("one:1000", 100, 200)));

    assertThat(Target.of(bench).get(VECTOR).reached()).isFalse();
    assertThat(Arrays.asList(MANY_ADAMW, MANY_SPD))
        .allMatch(i -> Target.of(bench).get(i).ratio() == null);
  }
}
