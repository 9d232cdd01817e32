package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.BlockTable;
import io.spd4j.kernel.Kernels;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * One result: plain Java, the Vector API at this JVM's width (the build runs this class at others,
 * too), C in every tier, any number of threads.
 */
class BitsTest {
  private static final int BLOCK = BlockTable.BLOCK;
  private static final int[] THREADS = {1, 2, 3, 7};
  private static final int STEPS = 5;

  /** A rule with every option; anchors come and go with the tensors. */
  record Setting(DecayRule decay, boolean amsgrad, boolean maximize, double gradScale) {}

  static Stream<Setting> settings() {
    List<DecayRule> rules =
        List.of(
            new NoDecay(),
            new WeightDecay(0.05),
            new L2SP(0.3),
            new L2SP(0.3, true),
            new SelectiveProjectionDecay(1),
            new SelectiveProjectionDecay(0.6));
    return rules.stream()
        .flatMap(rule ->
            Stream.of(
                new Setting(rule, false, false, 1),
                new Setting(rule, true, false, 0.37),
                new Setting(rule, false, true, 3),
                new Setting(rule, true, true, 1)));
  }

  static Model awkward(long seed) {
    Model model = new Model(seed);
    Random random = new Random(seed);
    List<Integer> sizes = new ArrayList<>();
    for (int n = 0; n <= 2; n++) {
      sizes.add(n);
    }
    for (int around : new int[] {16, 64, 128, BLOCK, 3 * BLOCK}) {
      for (int n = around - 1; n <= around + 1; n++) {
        sizes.add(n);
      }
    }
    sizes.add(40 * BLOCK + 1);
    for (int i = 0; i < 4; i++) {
      sizes.add(random.nextInt(4 * BLOCK));
    }
    for (int i = 0; i < sizes.size(); i++) {
      model.add("p" + i, sizes.get(i), 4 * i, random.nextInt(4) != 0);
    }
    return model;
  }

  @ParameterizedTest
  @MethodSource("settings")
  void everyBackendAndThreadCountGivesTheBitsOfPlainJava(Setting setting) {
    long seed = 17;
    List<int[][]> expected = new ArrayList<>();
    List<SpdReport> expectedReports = new ArrayList<>();
    for (Kernels kernels : AllKernels.list()) {
      boolean scalar = kernels.name().equals("scalar");
      for (int threads : scalar ? new int[] {1, 3} : THREADS) {
        String name = kernels.name() + " " + kernels.detail() + ", " + threads + " threads";
        try (Model model = awkward(seed);
            Adam adam = adam(model, setting, kernels, threads)) {
          for (int step = 0; step < STEPS; step++) {
            model.nextGradients();
            adam.step(setting.gradScale());
            int[][] bits = Model.bits(adam.parameters());
            if (expected.size() == step) {
              expected.add(bits);
            }
            assertThat(Arrays.deepEquals(bits, expected.get(step)))
                .as("%s, step %d: bits as of plain Java", name, step + 1)
                .isTrue();
          }
          if (expectedReports.isEmpty()) {
            expectedReports.addAll(adam.spdReports());
          }
          assertThat(adam.spdReports()).as(name).isEqualTo(expectedReports);
        }
      }
    }
    if (setting.decay() instanceof SelectiveProjectionDecay) {
      assertThat(expectedReports).anyMatch(r -> r.selections() > 0 && r.meanRatio() > 0);
      assertThat(expectedReports).anyMatch(r -> r.selections() < r.checked());
    }
  }

  /** Tensors that threads share, while rules, frozen groups and gradients change. */
  @ParameterizedTest
  @MethodSource("others")
  void sharedTensorsGiveTheBitsOfOneThread(Kernels kernels) {
    List<int[][]> expected = new ArrayList<>();
    List<List<SpdReport>> reports = new ArrayList<>();
    for (int threads : new int[] {1, 3, 2}) {
      try (Model model = new Model(3)) {
        List<ParameterGroup> groups = new ArrayList<>();
        for (int numel : new int[] {300_001, 60_000, 60_000, 700_000, 200_000}) {
          Parameter p = model.add("p" + groups.size(), numel, 4, groups.size() != 1);
          groups.add(
              ParameterGroup.builder()
                  .lr(0.02)
                  .decay(new SelectiveProjectionDecay(0.9))
                  .parameter(p)
                  .build());
        }
        Adam.Builder builder = Adam.builder().kernels(kernels).threads(threads);
        groups.forEach(builder::group);
        try (Adam adam = builder.build()) {
          for (int step = 0; step < 6; step++) {
            model.nextGradients();
            groups.get(1).frozen(step == 4);
            groups.get(3).frozen(step == 3);
            if (step == 2 || step == 5) {
              groups.get(2).decay(step == 2 ? new L2SP(0.1) : new SelectiveProjectionDecay(0.9));
            }
            adam.step();
            if (threads == 1) {
              expected.add(Model.bits(adam.parameters()));
              reports.add(adam.spdReports());
            }
            assertThat(Arrays.deepEquals(Model.bits(adam.parameters()), expected.get(step)))
                .as("%s, %d threads, step %d", kernels.detail(), threads, step + 1)
                .isTrue();
            assertThat(adam.spdReports()).isEqualTo(reports.get(step));
          }
        }
      }
    }
    assertThat(reports.getLast()).anyMatch(r -> r.selections() > 0 && r.meanRatio() > 0);
  }

  private static Adam adam(Model model, Setting s, Kernels kernels, int threads) {
    ParameterGroup group =
        ParameterGroup.builder()
            .lr(0.02)
            .betas(0.8, 0.95)
            .eps(1e-6)
            .decay(s.decay())
            .amsgrad(s.amsgrad())
            .maximize(s.maximize())
            .parameters(model.parameters)
            .build();
    return Adam.builder().group(group).kernels(kernels).threads(threads).build();
  }

  /** Hundreds of steps, every rule in one optimizer, parameters that pause and unfreeze. */
  @ParameterizedTest
  @MethodSource("others")
  void staysOneResultOverALongMixedRun(Kernels kernels) {
    List<int[][]> expected = new ArrayList<>();
    longRun(AllKernels.list().get(0), 1, expected, false);
    longRun(kernels, 2, expected, true);
  }

  static Stream<Kernels> others() {
    return AllKernels.list().stream().skip(1);
  }

  private static void longRun(
      Kernels kernels, int threads, List<int[][]> expected, boolean compare) {
    int steps = 300;
    try (Model model = new Model(5)) {
      List<ParameterGroup> groups = new ArrayList<>();
      List<DecayRule> rules =
          List.of(
              new WeightDecay(0.1),
              new L2SP(0.1),
              new L2SP(0.1, true),
              new SelectiveProjectionDecay(0.9));
      for (DecayRule rule : rules) {
        ParameterGroup.Builder group = ParameterGroup.builder().lr(0.01).decay(rule);
        group.amsgrad(rule instanceof L2SP);
        for (int i = 0; i < 3; i++) {
          int numel = new int[] {BLOCK + 333, 77, 5}[i];
          group.parameter(model.add(rule + " " + i, numel, 4 * i, i != 1));
        }
        groups.add(group.build());
      }
      Adam.Builder builder = Adam.builder().kernels(kernels).threads(threads);
      groups.forEach(builder::group);
      try (Adam adam = builder.build()) {
        Random random = new Random(9);
        for (int step = 0; step < steps; step++) {
          model.nextGradients();
          ParameterGroup group = groups.get(random.nextInt(groups.size()));
          group.frozen(random.nextInt(3) == 0);
          group.lr(0.01 * random.nextDouble());
          group.decay(group.decay().withLambda(random.nextDouble()));
          adam.stepClipped(10);
          int[][] bits = Model.bits(adam.parameters());
          if (compare) {
            assertThat(Arrays.deepEquals(bits, expected.get(step)))
                .as("%s, step %d: bits as of plain Java", kernels.detail(), step + 1)
                .isTrue();
          } else {
            expected.add(bits);
          }
        }
      }
    }
  }
}
