package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.spd4j.cuda.CudaAvailable;
import io.spd4j.cuda.CudaException;
import io.spd4j.cuda.CudaGraph;
import io.spd4j.cuda.CudaStream;
import io.spd4j.cuda.DeviceArena;
import io.spd4j.kernel.AllKernels;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A step that is captured once and replayed gives the bits of steps that are taken one by one. */
@CudaAvailable
class CudaGraphStepTest {
  private final Model model = new Model(7);
  private final OnDevice onDevice = new OnDevice();
  private Adam host;
  private Adam cuda;
  private List<ParameterGroup> hostGroups;
  private List<ParameterGroup> cudaGroups;

  private void build(DecayRule rule, DecayRule other) {
    for (int i = 0; i < 6; i++) {
      model.add("p" + i, 1 + 3000L * i, 4 * i, i % 2 == 0);
    }
    hostGroups = groups(model.parameters, rule, other);
    cudaGroups = groups(onDevice.twins(model.parameters), rule, other);
    Adam.Builder builder = Adam.builder().kernels(AllKernels.list().getFirst()).threads(1);
    hostGroups.forEach(builder::group);
    host = builder.build();
    Adam.Builder cudaBuilder = Adam.builder().stream(onDevice.stream);
    cudaGroups.forEach(cudaBuilder::group);
    cuda = cudaBuilder.build();
  }

  private static List<ParameterGroup> groups(List<Parameter> p, DecayRule rule, DecayRule other) {
    return List.of(
        ParameterGroup.builder().lr(0.01).decay(rule).parameters(p.subList(0, 3)).build(),
        ParameterGroup.builder().lr(0.03).decay(other).parameters(p.subList(3, 6)).build());
  }

  @AfterEach
  void close() {
    if (cuda != null) {
      cuda.close();
      host.close();
    }
    onDevice.close();
    model.close();
  }

  private void assertSame(String what) {
    assertThat(Arrays.deepEquals(onDevice.bits(cuda.parameters()), Model.bits(host.parameters())))
        .as(what)
        .isTrue();
    assertThat(cuda.spdReports()).as(what).isEqualTo(host.spdReports());
    assertThat(cuda.parameters().stream().map(Parameter::step))
        .as(what)
        .isEqualTo(host.parameters().stream().map(Parameter::step).toList());
  }

  private void nextGradients() {
    model.nextGradients();
    onDevice.copyGradients();
  }

  static Stream<List<DecayRule>> rules() {
    DecayRule spd = new SelectiveProjectionDecay(0.9);
    return Stream.of(
        List.of(new WeightDecay(0.1), new L2SP(0.2)), List.of(spd, new WeightDecay(0.1)));
  }

  private void replays(List<DecayRule> rules, Consumer<Adam> step) {
    build(rules.get(0), rules.get(1));
    try (CudaGraph graph = onDevice.stream.capture(() -> step.accept(cuda))) {
      assertSame("nothing is done in a capture");
      for (int k = 1; k <= 12; k++) {
        nextGradients();
        for (List<ParameterGroup> groups : List.of(hostGroups, cudaGroups)) {
          ParameterGroup group = groups.get(k % 2);
          group.lr(0.02 / k);
          group.decay(group.decay().withLambda(1.0 / k));
          groups.get(1).frozen(k % 4 == 0);
        }
        Parameter p = host.parameters().get(2);
        Parameter twin = cuda.parameters().get(2);
        if (k == 6) {
          p.gradient(null);
          twin.gradient(null);
        }
        step.accept(host);
        cuda.uploadSettings();
        onDevice.stream.launch(graph);
        assertSame("replay " + k);
        if (k == 6) { // another one, elsewhere
          p.gradient(model.array(p.numel(), 12, 1));
          twin.gradient(onDevice.copy(p.gradient()));
        }
        if (k % 5 == 0) {
          step.accept(host);
          step.accept(cuda);
          assertSame("a step between replays");
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("rules")
  void aStep(List<DecayRule> rules) {
    replays(rules, adam -> adam.step(0.7));
  }

  @ParameterizedTest
  @MethodSource("rules")
  void aClippedStep(List<DecayRule> rules) {
    replays(rules, adam -> adam.clipAndStep(2));
  }

  @ParameterizedTest
  @MethodSource("rules")
  void stepsOfSingleParameters(List<DecayRule> rules) {
    replays(rules, adam -> adam.parameters().forEach(adam::stepParameter));
  }

  @Test
  void aClippedReplayIsSkippedWholeIfAGradientIsNotFinite() {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1));
    try (CudaGraph graph = onDevice.stream.capture(() -> cuda.clipAndStep(1))) {
      nextGradients();
      host.step(); // so that there is something to lose
      cuda.step();
      assertSame("a step");
      model.parameters.getLast().gradient().setAtIndex(JAVA_FLOAT, 4, Float.POSITIVE_INFINITY);
      onDevice.copyGradients();
      onDevice.stream.launch(graph);
      assertSame("skipped");
      nextGradients();
      onDevice.stream.launch(graph);
      host.clipAndStep(1);
      assertSame("taken");
    }
  }

  @Test
  void whatTheDeviceDoesNotKnowYetCannotBeCaptured() {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1));
    nextGradients();
    cudaGroups.getFirst().lr(0.5);
    hostGroups.getFirst().lr(0.5);
    assertThatIllegalStateException()
        .isThrownBy(() -> onDevice.stream.capture(cuda::step))
        .withMessage(
            "settings, gradients or frozen groups have changed since the last step:"
                + " call uploadSettings before the capture");
    cuda.uploadSettings();
    onDevice.stream.capture(cuda::step).close();
    assertSame("nothing was done");
    cuda.step();
    host.step();
    assertSame("a step");
  }

  @Test
  void whatWaitsForTheDeviceCannotBeCaptured() {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1));
    for (Runnable waiting :
        List.<Runnable>of(() -> cuda.stepClipped(1), () -> cuda.gradientNorm())) {
      assertThatIllegalStateException()
          .isThrownBy(() -> onDevice.stream.capture(waiting))
          .withMessage(
              "the norm is not known in a capture: use clipAndStep, which does not return it");
    }
    assertThatIllegalStateException()
        .isThrownBy(() -> onDevice.stream.capture(() -> cuda.parameters().getFirst().step()))
        .withMessage("step counts are not known in a capture: ask after a launch");
    nextGradients();
    cuda.step();
    host.step();
    assertSame("a step");
  }

  @Test
  void aRuleThatBecomesSpdIsCapturedAnew() {
    build(new WeightDecay(0.1), new L2SP(0.1));
    try (CudaGraph first = onDevice.stream.capture(cuda::step)) {
      for (List<ParameterGroup> groups : List.of(hostGroups, cudaGroups)) {
        groups.getFirst().decay(new SelectiveProjectionDecay(1));
      }
      cuda.uploadSettings();
      try (CudaGraph second = onDevice.stream.capture(cuda::step)) {
        for (int k = 1; k <= 3; k++) {
          nextGradients();
          host.step();
          onDevice.stream.launch(second);
          assertSame("replay " + k);
        }
      }
      for (List<ParameterGroup> groups : List.of(hostGroups, cudaGroups)) {
        groups.getFirst().decay(new WeightDecay(0.1));
      }
      nextGradients();
      host.step();
      cuda.uploadSettings();
      onDevice.stream.launch(first); // that has remained what it was
      assertSame("the first graph");
      List<SpdReport> reports = cuda.spdReports();
      cudaGroups.getFirst().decay(new SelectiveProjectionDecay(1));
      cuda.uploadSettings();
      onDevice.stream.launch(first); // that knows no SPD, so there is nothing to report
      assertThat(cuda.spdReports()).isEqualTo(reports);
    }
  }

  /** A whole training step may set the gradients that there are. */
  @Test
  void theSameGradientMayBeSetInACapture() {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1));
    Runnable training =
        () -> {
          cuda.parameters().forEach(p -> p.gradient(p.gradient()));
          cuda.step();
        };
    try (CudaGraph graph = onDevice.stream.capture(training)) {
      nextGradients();
      host.step();
      onDevice.stream.launch(graph);
      assertSame("a replay");
    }
  }

  /** The graph itself knows nothing of an array that was replaced later. */
  @Test
  void aReplayOverMemoryThatIsGoneIsRefused() {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1));
    Parameter p = cuda.parameters().get(2);
    try (CudaGraph graph = onDevice.stream.capture(cuda::step)) {
      DeviceArena other = DeviceArena.open(onDevice.device);
      MemorySegment before = p.gradient();
      p.gradient(other.allocate(before.byteSize(), 64));
      cuda.uploadSettings();
      onDevice.stream.launch(graph);
      other.close();
      assertThatIllegalStateException().isThrownBy(() -> onDevice.stream.launch(graph));
      p.gradient(before);
      cuda.uploadSettings();
      onDevice.stream.launch(graph);
      assertThat(p.step()).isEqualTo(2);
    }
  }

  /** What CUDA refuses in a capture has not been done, so nothing is half done. */
  @Test
  void aCaptureThatWasSpoiledBreaksNothing() {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1));
    assertThatExceptionOfType(CudaException.class)
        .isThrownBy(() ->
            onDevice.stream.capture(() -> {
              assertThatExceptionOfType(CudaException.class)
                  .isThrownBy(onDevice.stream::synchronize);
              cuda.step();
            }));
    nextGradients();
    host.step();
    cuda.step();
    assertSame("a step");
  }

  /** Otherwise the step would be taken at once, and the graph would be empty. */
  @Test
  void aStepOnAStreamThatIsNotCapturedIsRefused() {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1));
    try (CudaStream other = CudaStream.create(onDevice.device)) {
      assertThatIllegalStateException()
          .isThrownBy(() -> other.capture(cuda::step))
          .withMessageStartingWith("stepping goes to a stream that is not captured");
    }
    assertSame("nothing was done");
    nextGradients();
    host.step();
    cuda.step();
    assertSame("a step");
  }
}
