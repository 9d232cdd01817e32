package io.spd4j;

import static io.spd4j.SideBySide.silent;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.BlockTable;
import java.util.List;
import java.util.Random;
import java.util.function.ToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Every backend gives the same bits, return values and reports as plain Java. */
abstract class OneResult {
  private static final int BLOCK = BlockTable.BLOCK;
  private static final String CASES = "io.spd4j.StepCase#all";
  private static final String RULES = "io.spd4j.StepCase#RULES";

  /** Returns plain Java's optimizer, which has these groups, and the optimizers under test. */
  abstract SideBySide sideBySide(Tensors tensors, List<ParameterGroup> groups);

  private SideBySide sideBySide(StepCase stepCase, Tensors tensors) {
    return sideBySide(tensors, stepCase.groups(tensors));
  }

  private static ToDoubleFunction<Adam> scaled(double gradScale) {
    return silent(adam -> adam.step(gradScale));
  }

  @ParameterizedTest
  @MethodSource(CASES)
  void everyCase(StepCase stepCase) {
    try (SideBySide all = sideBySide(stepCase, stepCase.tensors(17))) {
      double[] gradScales = {1, 0.37, 3, 1, 0.37};
      for (int step = 1; step <= gradScales.length; step++) {
        all.step("step " + step, scaled(gradScales[step - 1]));
      }
      if (stepCase.rule() instanceof SelectiveProjectionDecay) {
        assertThat(all.plain.spdReports()).anyMatch(r -> r.selections() > 0 && r.meanRatio() > 0);
        assertThat(all.plain.spdReports()).anyMatch(r -> r.selections() < r.checked());
      }
    }
  }

  @ParameterizedTest
  @MethodSource(CASES)
  void aNonFiniteGradientSkipsTheWholeStep(StepCase stepCase) {
    try (SideBySide all = sideBySide(stepCase, stepCase.smallTensors(29))) {
      all.step("before", adam -> adam.stepClipped(1));
      State before = State.of(all.plain);
      Parameter last = all.tensors.parameters.getLast();
      ElementType type = stepCase.types().gradient();
      float finite = Tensors.get(last.gradient(), type, last.numel() - 1);
      Tensors.set(last.gradient(), type, last.numel() - 1, Float.NaN);
      all.copyGradients();
      all.stepOnly("skipped", adam -> adam.stepClipped(1));
      all.stepOnly("skipped without a return value", silent(adam -> adam.clipAndStep(1)));
      Tensors.set(last.gradient(), type, last.numel() - 1, finite);
      assertThat(State.of(all.plain)).isEqualTo(before);
      all.step("after", adam -> adam.stepClipped(1));
      all.step("not clipped", scaled(1));
    }
  }

  /** Gradients contain NaN, infinities, subnormals and zeros of both signs at random places. */
  @ParameterizedTest
  @MethodSource(CASES)
  void specialValuesGiveTheSameResults(StepCase stepCase) {
    float[] special = {
      Float.NaN,
      Float.POSITIVE_INFINITY,
      Float.NEGATIVE_INFINITY,
      0f,
      -0f,
      Float.MIN_VALUE,
      -Float.MIN_VALUE,
      Float.MAX_VALUE,
      -Float.MAX_VALUE,
      Float.MIN_NORMAL,
      1e-30f,
      1e30f
    };
    Random random = new Random(31);
    try (SideBySide all = sideBySide(stepCase, stepCase.smallTensors(31))) {
      for (int step = 1; step <= 3; step++) {
        all.tensors.nextGradients();
        for (Parameter p : all.tensors.parameters) {
          for (long i = 0; i < p.numel(); i += 1 + random.nextInt(4)) {
            float value = special[random.nextInt(special.length)];
            Tensors.set(p.gradient(), stepCase.types().gradient(), i, value);
          }
        }
        all.copyGradients();
        all.stepOnly("step " + step, scaled(1));
      }
    }
  }

  /** There are more tensors than a GPU runs thread blocks at once, most smaller than a block. */
  @Test
  void manySmallTensors() {
    Tensors tensors = new Tensors(11);
    Random random = new Random(11);
    for (int i = 0; i < 300; i++) {
      tensors.add("p" + i, random.nextInt(100), random.nextInt(16), random.nextBoolean());
    }
    try (SideBySide all = sideBySide(tensors, groups(tensors))) {
      for (int step = 1; step <= 10; step++) {
        all.step("step " + step, scaled(1));
      }
    }
  }

  /** Returns one group for each rule. */
  private static List<ParameterGroup> groups(Tensors tensors) {
    return Tensors.deal(
        tensors.parameters,
        StepCase.RULES.stream()
            .map(
                rule -> ParameterGroup.builder().lr(0.01).decay(rule).amsgrad(rule instanceof L2SP))
            .toList());
  }

  /** Threads share tensors while rules, frozen groups and gradients change. */
  @ParameterizedTest
  @FieldSource(RULES)
  void sharedTensors(DecayRule rule) {
    Tensors tensors = new Tensors(3);
    for (int numel : new int[] {100_001, 20_000, 20_000, 230_000, 66_000}) {
      int i = tensors.parameters.size();
      tensors.add("p" + i, numel, 1, i != 1);
    }
    List<ParameterGroup> groups =
        tensors.parameters.stream()
            .map(p -> ParameterGroup.builder().lr(0.02).decay(rule).parameter(p).build())
            .toList();
    try (SideBySide all = sideBySide(tensors, groups)) {
      for (int step = 1; step <= 6; step++) {
        boolean fourth = step == 4;
        boolean fifth = step == 5;
        DecayRule other = step >= 3 && step < 6 ? new L2SP(0.1) : rule;
        all.change(1, group -> group.frozen(fifth));
        all.change(2, group -> group.decay(other));
        all.change(3, group -> group.frozen(fourth));
        all.step("step " + step, scaled(1));
      }
      if (rule instanceof SelectiveProjectionDecay) {
        assertThat(all.plain.spdReports()).anyMatch(r -> r.selections() > 0 && r.meanRatio() > 0);
      }
    }
  }

  /** One optimizer has every rule; settings, rules, frozen groups and kinds of steps change. */
  @Test
  void aLongMixedRun() {
    Tensors tensors = new Tensors(5);
    List<DecayRule> rules = StepCase.RULES;
    for (int numel : new int[] {BLOCK + 333, 77, 5}) {
      for (int i = 0; i < rules.size(); i++) {
        int index = tensors.parameters.size();
        tensors.add("p" + index, numel, index, (index + i) % 2 == 0);
      }
    }
    Random random = new Random(9);
    try (SideBySide all = sideBySide(tensors, groups(tensors))) {
      for (int step = 1; step <= 300; step++) {
        boolean frozen = random.nextInt(3) == 0;
        double lr = 0.01 * random.nextDouble();
        double lambda = random.nextDouble();
        DecayRule rule = random.nextInt(8) == 0 ? rules.get(random.nextInt(rules.size())) : null;
        all.change(
            random.nextInt(rules.size()),
            group -> {
              group.frozen(frozen);
              group.lr(lr);
              group.decay(StepCase.at(rule != null ? rule : group.decay(), lambda));
            });
        int alone = random.nextInt(tensors.parameters.size());
        int scale = random.nextInt(2);
        switch (random.nextInt(5)) {
          case 0 -> all.step("step " + step, scaled(0.5 + scale));
          case 1 -> all.step("norm " + step, Adam::gradientNorm);
          case 2 ->
              all.step(
                  "alone " + step,
                  adam -> adam.stepParameter(adam.parameters().get(alone), 0.3) ? 1 : 0);
          case 3 -> all.step("clip and step " + step, silent(adam -> adam.clipAndStep(3, 0.7)));
          default -> all.step("clipped " + step, adam -> adam.stepClipped(10));
        }
      }
    }
  }

  @Test
  void gradientsThatComeAndGo() {
    Tensors tensors = new Tensors(23);
    for (int i = 0; i < 12; i++) {
      tensors.add("p" + i, 1 + 2000 * i, i, i % 3 != 0);
    }
    Random random = new Random(23);
    try (SideBySide all = sideBySide(tensors, groups(tensors))) {
      for (int step = 1; step <= 12; step++) {
        for (int i = 0; i < 12; i++) {
          long numel = all.plain.parameters().get(i).numel();
          all.gradient(i, random.nextInt(3) == 0 ? null : tensors.gradient(numel, i));
        }
        all.step("step " + step, adam -> adam.stepClipped(5));
      }
    }
  }
}
