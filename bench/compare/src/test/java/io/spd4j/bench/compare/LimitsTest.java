package io.spd4j.bench.compare;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import io.spd4j.Backend;
import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.bench.compare.Competitor.Kind;
import io.spd4j.bench.contest.ArrayKind;
import io.spd4j.bench.contest.Setup;
import io.spd4j.bench.contest.Spd4jContestant;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.bench.contest.Values;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Compares the C program with Java. The program exists only if a C compiler was found. */
class LimitsTest {
  private static final Path PROGRAM = Path.of("..", "..", "target", "bench", "limits");
  private static final List<Long> TENSORS = List.of(1L, 16L, 37L, 5000L);

  @BeforeEach
  void needsTheProgram() {
    assumeThat(Files.isExecutable(PROGRAM)).isTrue();
  }

  private static CompetitorProcess start(String loop) throws UnableException {
    CompetitorProcess process =
        CompetitorProcess.start(
            new Competitor("c-" + loop, Kind.LIMIT, false, List.of(PROGRAM.toString(), loop)));
    process.hello();
    return process;
  }

  private static StepCase step(boolean anchored, Rule rule, Select select, int threads) {
    return new StepCase(new Shape("test", TENSORS, anchored), rule, select, threads);
  }

  @ParameterizedTest
  @CsvSource({
    "true, ADAMW, NONE",
    "false, ADAMW, NONE",
    "true, L2SP, NONE",
    "true, SPD, NONE",
    "true, SPD, ALL",
    "false, SPD, ALL",
  })
  void startsWithTheValuesOfJava(boolean anchored, Rule rule, Select select)
      throws UnableException, Failure {
    Setup setup = step(anchored, rule, select, 1).timed();
    Spd4jContestant java = new Spd4jContestant(Backend.SCALAR);
    java.setup(setup);
    Values.fill(java, setup);

    try (CompetitorProcess c = start("rmw")) {
      c.setup(setup);
      for (int t = 0; t < TENSORS.size(); t++) {
        List<float[]> values = c.values(t, 0, TENSORS.get(t).intValue());
        assertThat(values.get(0)).isEqualTo(floats(java, ArrayKind.DATA, t));
        assertThat(values.get(1)).isEqualTo(floats(java, ArrayKind.EXP_AVG, t));
        assertThat(values.get(2)).isEqualTo(floats(java, ArrayKind.EXP_AVG_SQ, t));
      }
    }
    java.close();
  }

  private static float[] floats(Spd4jContestant java, ArrayKind kind, int tensor) {
    return java.array(kind, tensor).toArray(ValueLayout.JAVA_FLOAT);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void itsAdamwMatchesOurs(int threads) throws UnableException, Failure {
    StepCase step = step(true, Rule.ADAMW, Select.NONE, threads);
    Setup setup = step.checked(Long.MAX_VALUE);
    Spd4jContestant java = new Spd4jContestant(Backend.SCALAR);
    java.setup(setup);
    Values.fill(java, setup);

    try (CompetitorProcess c = start("adamw")) {
      c.setup(setup);
      Sample begin = Sample.of(c, TENSORS);
      assertThat(c.step(3).nanos()).hasSize(3).doesNotContain(0);
      for (int i = 0; i < 3; i++) {
        java.step();
      }
      for (int t = 0; t < TENSORS.size(); t++) {
        float[] expected = floats(java, ArrayKind.DATA, t);
        List<float[]> values = c.values(t, 0, expected.length);
        assertThat(values.getFirst()).usingComparatorWithPrecision(1e-7f).containsExactly(expected);
        assertThat(values.get(1))
            .usingComparatorWithPrecision(1e-8f)
            .containsExactly(floats(java, ArrayKind.EXP_AVG, t));
      }
      assertThat(Sample.of(c, TENSORS).sameBits(begin)).isFalse();
    }
    java.close();
  }

  /** The loop leaves the arrays unchanged. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void readModifyWriteKeepsTheValues(int threads) throws UnableException {
    StepCase step = step(true, Rule.SPD, Select.ALL, threads);
    try (CompetitorProcess c = start("rmw")) {
      c.setup(step.timed());
      Sample begin = Sample.of(c, TENSORS);

      assertThat(c.step(4).nanos()).hasSize(4);
      assertThat(Sample.of(c, TENSORS).sameBits(begin)).isTrue();
    }
  }

  /** The first two of four adjacent arrays are copied to the last two. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3})
  void copyCopiesOneHalfToTheOther(int threads) throws UnableException {
    StepCase step = step(false, Rule.ADAMW, Select.NONE, threads);
    try (CompetitorProcess c = start("copy")) {
      c.setup(step.timed());
      c.step(1);

      for (int t = 0; t < TENSORS.size(); t++) {
        List<float[]> values = c.values(t, 0, TENSORS.get(t).intValue());
        assertThat(values.get(1)).isEqualTo(values.getFirst());
      }
    }
  }

  @Test
  void describesItself() throws UnableException {
    try (CompetitorProcess c = start("adamw")) {
      assertThat(c.rules()).containsExactly(Rule.ADAMW);
    }
    try (CompetitorProcess c = start("copy")) {
      assertThat(c.rules()).containsExactly(Rule.ADAMW, Rule.L2SP, Rule.SPD);
    }
  }
}
