package io.spd4j;

import static io.spd4j.ElementType.BFLOAT16;
import static io.spd4j.ElementType.FLOAT16;
import static io.spd4j.ElementType.FLOAT32;
import static io.spd4j.Refusals.illegalState;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.spd4j.StepCase.Types;
import io.spd4j.cuda.CudaAvailable;
import io.spd4j.cuda.CudaException;
import io.spd4j.cuda.CudaGraph;
import io.spd4j.cuda.CudaStream;
import io.spd4j.cuda.DeviceArena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Replays of a captured step give the same bits as steps taken one by one. */
@CudaAvailable
class CudaGraphStepTest {
  /** Float32, and types with every kind of rounding. */
  static final List<Types> TYPES =
      List.of(
          Types.FLOAT32,
          new Types(BFLOAT16, true, BFLOAT16, BFLOAT16, MomentType.BLOCKWISE_8BIT),
          new Types(BFLOAT16, false, FLOAT16, FLOAT32, MomentType.BFLOAT16),
          new Types(FLOAT16, false, FLOAT32, FLOAT16, MomentType.FLOAT32));

  private SideBySide both;
  private Adam host;
  private Adam cuda;
  private CudaStream stream;

  private void build(DecayRule rule, DecayRule other) {
    build(rule, other, Types.FLOAT32);
  }

  /** Builds optimizers with two groups of three tensors each. */
  private void build(DecayRule rule, DecayRule other, Types types) {
    Tensors tensors = new Tensors(7, types);
    for (int i = 0; i < 6; i++) {
      tensors.add("p" + i, 1 + 3000L * i, i, i % 2 == 0);
    }
    List<Parameter> p = tensors.parameters;
    both =
        SideBySide.onCuda(
            tensors,
            List.of(
                ParameterGroup.builder().lr(0.01).decay(rule).parameters(p.subList(0, 3)).build(),
                ParameterGroup.builder()
                    .lr(0.03)
                    .decay(other)
                    .parameters(p.subList(3, 6))
                    .build()));
    host = both.plain;
    cuda = both.cuda();
    stream = both.onDevice.stream;
  }

  @AfterEach
  void close() {
    both.close();
  }

  /** Pairs each rule with the next one; SPD is also paired with a rule that makes no decisions. */
  static Stream<List<DecayRule>> rules() {
    List<DecayRule> rules = StepCase.RULES;
    return IntStream.range(0, rules.size())
        .mapToObj(i -> List.of(rules.get(i), rules.get((i + 1) % rules.size())));
  }

  private void replays(List<DecayRule> rules, Consumer<Adam> step) {
    build(rules.get(0), rules.get(1));
    replays(step);
  }

  private void replays(Consumer<Adam> step) {
    try (CudaGraph graph = stream.capture(() -> step.accept(cuda))) {
      both.assertSame("nothing is done in a capture");
      for (int k = 1; k <= 12; k++) {
        both.nextGradients();
        double lr = 0.02 / k;
        double lambda = 1.0 / k;
        boolean frozen = k % 4 == 0;
        both.change(
            k % 2,
            group -> {
              group.lr(lr);
              group.decay(StepCase.at(group.decay(), lambda));
            });
        both.change(1, group -> group.frozen(frozen));
        if (k == 6) {
          both.gradient(2, null);
        }
        step.accept(host);
        cuda.uploadSettings();
        stream.launch(graph);
        both.assertSame("replay " + k);
        if (k == 6) { // a new gradient at another address
          both.gradient(2, both.tensors.gradient(host.parameters().get(2).numel(), 3));
        }
        if (k % 5 == 0) {
          both.stepOnly("a step between replays", SideBySide.silent(step));
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

  /** The step count lies on the device, so each replay rounds with random bits of its own. */
  @ParameterizedTest
  @FieldSource("TYPES")
  void everyKindOfRounding(Types types) {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1), types);
    replays(adam -> adam.clipAndStep(2));
  }

  @Test
  void settingsWithUnchangedValuesNeedNoUpload() {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1));
    both.step("a step", SideBySide.silent(Adam::step));
    for (ParameterGroup group : cuda.groups()) {
      group.lr(group.lr());
      group.decay(group.decay().withLambda(group.decay().lambda()));
      group.frozen(true);
      group.frozen(false);
    }
    try (CudaGraph graph = stream.capture(cuda::step)) {
      host.step();
      stream.launch(graph);
      both.assertSame("replay");
    }
  }

  @Test
  void aNonFiniteGradientSkipsTheWholeClippedReplay() {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1));
    try (CudaGraph graph = stream.capture(() -> cuda.clipAndStep(1))) {
      both.nextGradients();
      // gives the optimizer a state that a skipped replay must keep
      both.stepOnly("a step", SideBySide.silent(Adam::step));
      both.tensors
          .parameters
          .getLast()
          .gradient()
          .setAtIndex(JAVA_FLOAT, 4, Float.POSITIVE_INFINITY);
      both.copyGradients();
      stream.launch(graph);
      both.assertSame("skipped");
      both.nextGradients();
      stream.launch(graph);
      host.clipAndStep(1);
      both.assertSame("taken");
    }
  }

  @Test
  void changesThatAreNotUploadedCannotBeCaptured() {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1));
    both.nextGradients();
    both.change(0, group -> group.lr(0.5));
    illegalState(
        "settings, gradients or frozen groups have changed since the last step:"
            + " call uploadSettings before the capture",
        () -> stream.capture(cuda::step));
    cuda.uploadSettings();
    stream.capture(cuda::step).close();
    both.assertSame("nothing was done");
    both.stepOnly("a step", SideBySide.silent(Adam::step));
  }

  @Test
  void callsThatWaitForTheDeviceCannotBeCaptured() {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1));
    for (Runnable waiting :
        List.<Runnable>of(() -> cuda.stepClipped(1), () -> cuda.gradientNorm())) {
      illegalState(
          "the norm is not known in a capture: use clipAndStep, which does not return it",
          () -> stream.capture(waiting));
    }
    illegalState(
        "step counts are not known in a capture: ask after a launch",
        () -> stream.capture(() -> cuda.parameters().getFirst().step()));
    both.step("a step", SideBySide.silent(Adam::step));
  }

  @Test
  void aChangeToSpdNeedsANewCapture() {
    build(new WeightDecay(0.1), new L2SP(0.1));
    try (CudaGraph first = stream.capture(cuda::step)) {
      both.change(0, group -> group.decay(new SelectiveProjectionDecay(1)));
      cuda.uploadSettings();
      try (CudaGraph second = stream.capture(cuda::step)) {
        for (int k = 1; k <= 3; k++) {
          both.nextGradients();
          host.step();
          stream.launch(second);
          both.assertSame("replay " + k);
        }
      }
      both.change(0, group -> group.decay(new WeightDecay(0.1)));
      both.nextGradients();
      host.step();
      cuda.uploadSettings();
      stream.launch(first); // this graph still has the old rule
      both.assertSame("the first graph");
      List<SpdReport> reports = cuda.spdReports();
      cuda.groups().getFirst().decay(new SelectiveProjectionDecay(1));
      cuda.uploadSettings();
      stream.launch(first); // this graph does not apply SPD, so it reports nothing
      assertThat(cuda.spdReports()).isEqualTo(reports);
    }
  }

  /** A captured training step may set each gradient to the segment that it already is. */
  @Test
  void theSameGradientMayBeSetInACapture() {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1));
    Runnable training =
        () -> {
          cuda.parameters().forEach(p -> p.gradient(p.gradient()));
          cuda.step();
        };
    try (CudaGraph graph = stream.capture(training)) {
      both.nextGradients();
      host.step();
      stream.launch(graph);
      both.assertSame("a replay");
    }
  }

  /** The gradient is replaced after the capture, so the graph alone does not know the new array. */
  @Test
  void aReplayOverFreedMemoryIsRefused() {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1));
    Parameter p = cuda.parameters().get(2);
    try (CudaGraph graph = stream.capture(cuda::step)) {
      DeviceArena other = DeviceArena.open(both.onDevice.device);
      MemorySegment before = p.gradient();
      p.gradient(other.allocate(before.byteSize(), 64));
      cuda.uploadSettings();
      stream.launch(graph);
      other.close();
      assertThatIllegalStateException().isThrownBy(() -> stream.launch(graph));
      p.gradient(before);
      cuda.uploadSettings();
      stream.launch(graph);
      assertThat(p.step()).isEqualTo(2);
    }
  }

  /** A captured step does not run before a launch, so a failed capture leaves nothing half done. */
  @Test
  void aFailedCaptureBreaksNothing() {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1));
    assertThatExceptionOfType(CudaException.class)
        .isThrownBy(() ->
            stream.capture(() -> {
              assertThatExceptionOfType(CudaException.class).isThrownBy(stream::synchronize);
              cuda.step();
            }));
    both.step("a step", SideBySide.silent(Adam::step));
  }

  /** If it were allowed, the step would run at once and the graph would be empty. */
  @Test
  void aStepOnAStreamThatIsNotCapturedIsRefused() {
    build(new SelectiveProjectionDecay(1), new L2SP(0.1));
    try (CudaStream other = CudaStream.create(both.onDevice.device)) {
      assertThatIllegalStateException()
          .isThrownBy(() -> other.capture(cuda::step))
          .withMessageStartingWith("stepping goes to a stream that is not captured");
    }
    both.assertSame("nothing was done");
    both.step("a step", SideBySide.silent(Adam::step));
  }
}
