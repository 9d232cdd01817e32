package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.cuda.CudaAvailable;
import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.BlockTable;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** One result: CUDA gives the bits and the reports of plain Java. */
@CudaAvailable
class CudaBitsTest {
  private static final int BLOCK = BlockTable.BLOCK;
  private static final int STEPS = 4;

  /** Two optimizers of the same tensors, on the host and on the device. */
  private static final class Pair implements AutoCloseable {
    final OnDevice onDevice = new OnDevice();
    final Model model;
    final Adam host;
    final Adam cuda;
    final List<ParameterGroup> hostGroups = new ArrayList<>();
    final List<ParameterGroup> cudaGroups = new ArrayList<>();

    /** Parameter i is in group i mod the number of groups. */
    Pair(Model model, List<ParameterGroup.Builder> groups) {
      this.model = model;
      Kernels plain = AllKernels.list().getFirst();
      host = build(groups, false, Adam.builder().kernels(plain).threads(1));
      cuda = build(groups, true, Adam.builder().stream(onDevice.stream));
      assertThat(cuda.backend()).isEqualTo(Backend.CUDA);
    }

    private Adam build(List<ParameterGroup.Builder> groups, boolean device, Adam.Builder builder) {
      for (int g = 0; g < groups.size(); g++) {
        ParameterGroup settings = groups.get(g).build();
        ParameterGroup.Builder group =
            ParameterGroup.builder()
                .lr(settings.lr())
                .betas(settings.beta1(), settings.beta2())
                .eps(settings.eps())
                .amsgrad(settings.amsgrad())
                .maximize(settings.maximize())
                .decay(settings.decay());
        for (int i = g; i < model.parameters.size(); i += groups.size()) {
          Parameter p = model.parameters.get(i);
          group.parameter(device ? onDevice.twin(p) : p);
        }
        ParameterGroup built = group.build();
        (device ? cudaGroups : hostGroups).add(built);
        builder.group(built);
      }
      return builder.build();
    }

    /** New gradients, and the same step on both; what it answers has to be the same. */
    void step(String what, ToDoubleFunction<Adam> step) {
      model.nextGradients();
      onDevice.copyGradients();
      stepAsItIs(what, step);
    }

    void stepAsItIs(String what, ToDoubleFunction<Adam> step) {
      Double expected = step.applyAsDouble(host);
      assertThat(step.applyAsDouble(cuda)).as("answer of %s", what).isEqualTo(expected);
      assertSame(what);
    }

    void assertSame(String what) {
      assertThat(Arrays.deepEquals(onDevice.bits(cuda.parameters()), Model.bits(host.parameters())))
          .as("%s: bits as of plain Java", what)
          .isTrue();
      assertThat(cuda.spdReports()).as(what).isEqualTo(host.spdReports());
      assertThat(cuda.parameters().stream().map(Parameter::step))
          .as(what)
          .isEqualTo(host.parameters().stream().map(Parameter::step).toList());
    }

    @Override
    public void close() {
      host.close();
      cuda.close();
      onDevice.close();
      model.close();
    }
  }

  private static ToDoubleFunction<Adam> scaled(double gradScale) {
    return adam -> {
      adam.step(gradScale);
      return 0;
    };
  }

  static Stream<BitsTest.Setting> settings() {
    return BitsTest.settings();
  }

  private static ParameterGroup.Builder group(BitsTest.Setting s) {
    return ParameterGroup.builder()
        .lr(0.02)
        .betas(0.8, 0.95)
        .eps(1e-6)
        .decay(s.decay())
        .amsgrad(s.amsgrad())
        .maximize(s.maximize());
  }

  @ParameterizedTest
  @MethodSource("settings")
  void awkwardSizesGiveTheBitsOfPlainJava(BitsTest.Setting setting) {
    try (Pair pair = new Pair(BitsTest.awkward(17), List.of(group(setting)))) {
      for (int step = 1; step <= STEPS; step++) {
        pair.step("step " + step, scaled(setting.gradScale()));
      }
      if (setting.decay() instanceof SelectiveProjectionDecay) {
        assertThat(pair.cuda.spdReports()).anyMatch(r -> r.selections() > 0 && r.meanRatio() > 0);
        assertThat(pair.cuda.spdReports()).anyMatch(r -> r.selections() < r.checked());
      }
    }
  }

  /** Arrays that start at multiples of 16 bytes are accessed by four elements at a time. */
  @ParameterizedTest
  @MethodSource("settings")
  void alignedArraysGiveTheBitsOfPlainJava(BitsTest.Setting setting) {
    Model model = new Model(3);
    for (int numel : new int[] {1, 3, 4, 1023, 1024, BLOCK - 1, BLOCK, 9 * BLOCK + 6}) {
      model.add("p" + numel, numel, 0, numel % 2 == 0, 64);
    }
    try (Pair pair = new Pair(model, List.of(group(setting)))) {
      for (int step = 1; step <= STEPS; step++) {
        pair.step("step " + step, scaled(setting.gradScale()));
      }
    }
  }

  /** More tensors than thread blocks run at once, most of them smaller than a block. */
  @Test
  void manySmallTensorsGiveTheBitsOfPlainJava() {
    Model model = new Model(11);
    Random random = new Random(11);
    for (int i = 0; i < 300; i++) {
      model.add("p" + i, random.nextInt(100), 4 * random.nextInt(16), random.nextBoolean());
    }
    List<ParameterGroup.Builder> groups =
        List.of(
            ParameterGroup.builder().lr(0.01).decay(new SelectiveProjectionDecay(1)),
            ParameterGroup.builder().lr(0.02).decay(new SelectiveProjectionDecay(0.5)),
            ParameterGroup.builder().lr(0.03).decay(new WeightDecay(0.1)));
    try (Pair pair = new Pair(model, groups)) {
      for (int step = 1; step <= 10; step++) {
        pair.step("step " + step, scaled(1));
      }
    }
  }

  /** Every rule in one optimizer; settings, rules, frozen groups and gradients come and go. */
  @Test
  void staysOneResultOverALongMixedRun() {
    Model model = new Model(5);
    Random random = new Random(9);
    List<DecayRule> rules =
        List.of(
            new WeightDecay(0.1),
            new L2SP(0.1),
            new L2SP(0.1, true),
            new SelectiveProjectionDecay(0.9));
    for (int i = 0; i < 12; i++) {
      int numel = new int[] {BLOCK + 333, 77, 5}[i / 4];
      model.add("p" + i, numel, 4 * i, i % 2 == 0);
    }
    List<ParameterGroup.Builder> groups =
        rules.stream()
            .map(r -> ParameterGroup.builder().amsgrad(r instanceof L2SP).decay(r))
            .toList();
    try (Pair pair = new Pair(model, groups)) {
      for (int step = 1; step <= 200; step++) {
        int g = random.nextInt(groups.size());
        boolean frozen = random.nextInt(3) == 0;
        double lr = 0.01 * random.nextDouble();
        double lambda = random.nextDouble();
        DecayRule rule = random.nextInt(8) == 0 ? rules.get(random.nextInt(4)) : null;
        for (ParameterGroup group : List.of(pair.hostGroups.get(g), pair.cudaGroups.get(g))) {
          group.frozen(frozen);
          group.lr(lr);
          group.decay((rule != null ? rule : group.decay()).withLambda(lambda));
        }
        int alone = random.nextInt(model.parameters.size());
        switch (random.nextInt(5)) {
          case 0 -> pair.step("step " + step, scaled(0.5 + random.nextInt(2)));
          case 1 -> pair.step("norm " + step, Adam::gradientNorm);
          case 2 ->
              pair.step(
                  "alone " + step,
                  adam -> adam.stepParameter(adam.parameters().get(alone), 0.3) ? 1 : 0);
          case 3 ->
              pair.step(
                  "clip and step " + step,
                  adam -> {
                    adam.clipAndStep(3, 0.7);
                    return 0;
                  });
          default -> pair.step("clipped " + step, adam -> adam.stepClipped(10));
        }
      }
    }
  }

  @Test
  void gradientsThatComeAndGoGiveTheBitsOfPlainJava() {
    Model model = new Model(23);
    for (int i = 0; i < 9; i++) {
      model.add("p" + i, 1 + 2000 * i, 4 * i, i % 3 != 0);
    }
    Random random = new Random(23);
    List<ParameterGroup.Builder> groups =
        List.of(
            ParameterGroup.builder().decay(new SelectiveProjectionDecay(1)),
            ParameterGroup.builder().decay(new L2SP(0.2)));
    try (Pair pair = new Pair(model, groups)) {
      for (int step = 1; step <= 12; step++) {
        model.nextGradients();
        for (int i = 0; i < 9; i++) {
          Parameter p = pair.host.parameters().get(i);
          Parameter twin = pair.cuda.parameters().get(i);
          MemorySegment fresh = random.nextInt(3) == 0 ? null : model.array(p.numel(), 4 * i, 1);
          p.gradient(fresh);
          twin.gradient(pair.onDevice.copy(fresh));
        }
        pair.stepAsItIs("step " + step, adam -> adam.stepClipped(5));
        for (int i = 0; i < 9; i++) { // the model fills what is there
          Parameter p = pair.host.parameters().get(i);
          p.gradient(model.array(p.numel(), 0, 1));
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("settings")
  void aGradientThatIsNotFiniteSkipsTheStepWhole(BitsTest.Setting setting) {
    try (Pair pair = new Pair(BitsTest.awkward(29), List.of(group(setting)))) {
      pair.step("before", adam -> adam.stepClipped(1));
      List<SpdReport> reports = pair.cuda.spdReports();
      pair.model.nextGradients();
      Parameter last = pair.model.parameters.getLast();
      last.gradient().setAtIndex(JAVA_FLOAT, last.numel() - 1, Float.NaN);
      pair.onDevice.copyGradients();
      pair.stepAsItIs("skipped", adam -> adam.stepClipped(1));
      assertThat(pair.cuda.spdReports()).isEqualTo(reports);
      pair.stepAsItIs(
          "skipped without an answer",
          adam -> {
            adam.clipAndStep(1);
            return 0;
          });
      pair.step("after", adam -> adam.stepClipped(1));
      pair.step("not clipped", scaled(1));
    }
  }

  /** NaN, infinities, subnormals, zeros of both signs, where each may be. */
  @ParameterizedTest
  @MethodSource("settings")
  void specialValuesAreWherePlainJavaHasThem(BitsTest.Setting setting) {
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
    Model model = new Model(31);
    model.add("p", 200 * special.length, 4, true);
    model.add("q", 64, 0, false);
    Random random = new Random(31);
    try (Pair pair = new Pair(model, List.of(group(setting)))) {
      for (int step = 1; step <= 3; step++) {
        model.nextGradients();
        for (Parameter p : model.parameters) {
          for (long i = 0; i < p.numel(); i += 1 + random.nextInt(4)) {
            p.gradient().setAtIndex(JAVA_FLOAT, i, special[random.nextInt(special.length)]);
          }
        }
        pair.onDevice.copyGradients();
        pair.host.step();
        pair.cuda.step();
        int[][] expected = canonical(Model.bits(pair.host.parameters()));
        int[][] actual = canonical(pair.onDevice.bits(pair.cuda.parameters()));
        assertThat(Arrays.deepEquals(actual, expected)).as("step %d", step).isTrue();
        assertThat(pair.cuda.spdReports()).isEqualTo(pair.host.spdReports());
      }
    }
  }

  /** Where a value is NaN is part of the contract, which NaN is not. */
  private static int[][] canonical(int[][] bits) {
    return Arrays.stream(bits)
        .map(
            a -> Arrays.stream(a).map(b -> Float.floatToIntBits(Float.intBitsToFloat(b))).toArray())
        .toArray(int[][]::new);
  }
}
