package io.spd4j;

import static io.spd4j.ElementType.BFLOAT16;
import static io.spd4j.ParameterArray.DATA;
import static io.spd4j.ParameterArray.EXP_AVG;
import static io.spd4j.ParameterArray.EXP_AVG_SQ;
import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.illegalState;
import static io.spd4j.Tensors.random;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.StepCase.Types;
import io.spd4j.cuda.CudaAvailable;
import io.spd4j.cuda.CudaDevice;
import io.spd4j.cuda.CudaStream;
import io.spd4j.cuda.DeviceArena;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import jdk.jfr.consumer.RecordedEvent;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.FieldSource;

/** What an optimizer over device memory accepts and refuses, and what remains after close. */
@CudaAvailable
class CudaAdamTest {
  private static final long NUMEL = 5000;

  private final Arena arena = Arena.ofShared();
  private final OnDevice onDevice = new OnDevice();
  private final long free = onDevice.device.freeMemory();

  @AfterEach
  void close() {
    onDevice.close();
    arena.close();
  }

  private MemorySegment host(long seed) {
    return random(arena, seed, NUMEL);
  }

  private MemorySegment device(long seed) {
    return onDevice.copy(host(seed));
  }

  private Parameter parameter(String name) {
    return Parameter.of(name, device(1), device(2), device(3));
  }

  private static Adam.Builder adam(Parameter... parameters) {
    return Adam.builder()
        .group(Optimizers.group(new SelectiveProjectionDecay(1), List.of(parameters)));
  }

  private static Adam build(Parameter... parameters) {
    return adam(parameters).build();
  }

  private Parameter hostParameter() {
    return Parameter.of("w", host(1), host(2));
  }

  @Test
  void deviceMemoryChoosesCuda() {
    try (Adam adam = build(parameter("w"));
        Adam forced = adam(parameter("w")).backend(Backend.CUDA).build()) {
      assertThat(adam.backend()).isEqualTo(Backend.CUDA);
      assertThat(forced.backend()).isEqualTo(Backend.CUDA);
      adam.step();
      assertThat(adam.parameters().getFirst().step()).isEqualTo(1);
      assertThat(DeviceArena.isDevice(adam.parameters().getFirst().expAvg())).isTrue();
    }
  }

  @Test
  void hostMemoryDoesNotChooseCuda() {
    try (Adam adam = build(hostParameter())) {
      assertThat(adam.backend()).isNotEqualTo(Backend.CUDA);
    }
  }

  @Test
  void cudaIsTheFirstBackend() {
    Backend.Availability first = Backend.availability().getFirst();
    assertThat(first.backend()).isEqualTo(Backend.CUDA);
    assertThat(first.available()).isTrue();
    assertThat(first.reason()).contains(onDevice.device.name());
    assertThat(Diagnostics.report()).containsPattern("(?m)^  cuda +yes ");
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "CUDA")
  void theOtherBackendsRefuseDeviceMemory(Backend backend) {
    illegalArgument(
        "data of w lies in device memory, which only the backend cuda steps",
        () -> adam(parameter("w")).backend(backend).build());
  }

  @Test
  void cudaRefusesHostMemory() {
    illegalArgument(
        "data of w lies in host memory: the backend cuda needs memory of a DeviceArena",
        () -> adam(hostParameter()).backend(Backend.CUDA).build());
  }

  @Test
  void aMixOfHostAndDeviceMemoryIsRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> build(Parameter.of("w", device(1), host(2))))
        .withMessageContaining("gradient of w lies in host memory");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> build(Parameter.of("w", device(1), device(2), host(3))))
        .withMessageContaining("anchor of w lies in host memory");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> build(Parameter.of("v", host(1), host(2)), parameter("w")))
        .withMessageContaining("data of w lies in device memory");
    assertThatIllegalArgumentException()
        .isThrownBy(
            () -> build(Parameter.builder("w", device(1)).moments(device(2), host(3)).build()))
        .withMessageContaining("expAvgSq of w lies in host memory");
    MemorySegment low = arena.allocate(NUMEL * Short.BYTES, 64);
    MemorySegment high = onDevice.copy(low);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> build(Parameter.builder("w", high, BFLOAT16).low(low).build()))
        .withMessageContaining("low of w lies in host memory");
  }

  @Test
  void aGradientInTheOtherMemoryIsRefused() {
    Parameter p = parameter("w");
    MemorySegment before = p.gradient();
    try (Adam adam = build(p)) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> p.gradient(host(4)))
          .withMessageContaining("gradient of w lies in host memory");
      assertThat(p.gradient()).isEqualTo(before);
      illegalArgument("gradient of w overlaps data of w", () -> p.gradient(p.data()));
      adam.step();
    }
    Parameter hostParameter = hostParameter();
    try (Adam adam = build(hostParameter)) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> hostParameter.gradient(device(4)))
          .withMessageContaining("gradient of w lies in device memory");
      adam.step();
    }
  }

  @Test
  void aStreamIsForCudaAlone() {
    illegalArgument(
        "a stream is given, but the backend asked for is scalar",
        () -> adam(hostParameter()).backend(Backend.SCALAR).stream(onDevice.stream).build());
    illegalArgument(
        "a stream is given, but the parameters lie in host memory:"
            + " allocate them from a DeviceArena",
        () -> adam(hostParameter()).stream(onDevice.stream).build());
  }

  @Test
  void aClosedStreamIsRefusedAndNothingChanges() {
    Parameter p = parameter("w");
    CudaStream stream = CudaStream.create(onDevice.device);
    Adam adam = adam(p).stream(stream).build();
    adam.step();
    stream.synchronize();
    byte[] before = onDevice.read(p.data());
    stream.close();
    assertThatIllegalStateException().isThrownBy(adam::step).withMessageContaining("closed");
    assertThat(Arrays.equals(onDevice.read(p.data()), before)).isTrue();
    adam.close();
  }

  @Test
  void anArrayInAClosedArenaIsNamedAndNothingChanges() {
    DeviceArena gone = DeviceArena.open(onDevice.device);
    Parameter p = parameter("w");
    Parameter q = Parameter.of("v", device(5), gone.allocate(NUMEL * Float.BYTES, 64), device(6));
    try (Adam adam = adam(p, q).stream(onDevice.stream).build()) {
      adam.step();
      byte[] before = onDevice.read(p.data());
      gone.close();
      illegalState("gradient of v lies in an arena that is closed", adam::step);
      assertThatIllegalStateException().isThrownBy(() -> adam.stepClipped(1));
      assertThatIllegalStateException().isThrownBy(() -> adam.stepParameter(p));
      assertThat(Arrays.equals(onDevice.read(p.data()), before)).isTrue();
      assertThat(p.step()).isEqualTo(1);
      q.gradient(device(7));
      adam.step();
      assertThat(p.step()).isEqualTo(2);
    }
  }

  @Test
  void lowHalvesInAClosedArenaAreNamedAndNothingChanges() {
    DeviceArena gone = DeviceArena.open(onDevice.device);
    MemorySegment high = onDevice.arena.allocate(NUMEL * Short.BYTES, 64);
    MemorySegment low = gone.allocate(NUMEL * Short.BYTES, 64);
    Parameter p = Parameter.builder("w", high, BFLOAT16).low(low).gradient(device(2)).build();
    try (Adam adam = adam(p).stream(onDevice.stream).build()) {
      adam.step();
      byte[] before = onDevice.read(high);
      gone.close();
      illegalState("low of w lies in an arena that is closed", adam::step);
      assertThat(onDevice.read(high)).isEqualTo(before);
      assertThat(p.step()).isEqualTo(1);
    }
  }

  @ParameterizedTest
  @EnumSource
  void momentsOfEachTypeStartAtZeroOnTheDevice(MomentType type) {
    Parameter p = Parameter.builder("w", device(1)).gradient(device(2)).momentType(type).build();
    try (Adam adam = build(p)) {
      assertThat(adam.parameters()).containsExactly(p);
      for (MemorySegment moment : List.of(p.expAvg(), p.expAvgSq())) {
        assertThat(DeviceArena.isDevice(moment)).isTrue();
        assertThat(onDevice.read(moment)).isEqualTo(new byte[(int) type.byteSize(NUMEL)]);
      }
    }
  }

  @Test
  void javaCannotReadTheOptimizersArrays() {
    Parameter p = parameter("w");
    try (Adam adam = build(p)) {
      for (MemorySegment segment : List.of(p.data(), p.expAvg(), p.expAvgSq())) {
        assertThatThrownBy(() -> segment.get(JAVA_FLOAT, 0))
            .isInstanceOf(WrongThreadException.class);
      }
      adam.step();
    }
  }

  @Test
  void stepCountsAndReportsRemainAfterClose() {
    Parameter p = parameter("w");
    Adam adam = build(p);
    adam.step();
    adam.step();
    SpdReport report = adam.spdReport(p).orElseThrow();
    adam.close();
    adam.close();
    assertThat(p.step()).isEqualTo(2);
    assertThat(adam.spdReport(p)).contains(report);
    illegalState("the optimizer is closed", adam::step);
  }

  @Test
  void everythingThatItAllocatesIsFreed() {
    try (DeviceArena own = DeviceArena.open(onDevice.device)) {
      MemorySegment data = own.allocate(NUMEL * Float.BYTES, 64);
      MemorySegment gradient = own.allocate(NUMEL * Float.BYTES, 64);
      long before = onDevice.device.freeMemory();
      Adam adam = build(Parameter.of("w", data, gradient));
      adam.step();
      assertThat(onDevice.device.freeMemory()).isLessThan(before);
      adam.close();
      assertThat(onDevice.device.freeMemory()).isEqualTo(before);
      assertThatIllegalArgumentException()
          .isThrownBy(
              () -> build(Parameter.of("w", data, gradient), Parameter.of("v", host(1), host(2))));
      assertThat(onDevice.device.freeMemory()).isEqualTo(before);
    }
    assertThat(onDevice.device.freeMemory()).isEqualTo(free);
  }

  /** The random bits depend on the name and the step, so they continue, too. */
  @ParameterizedTest
  @FieldSource("io.spd4j.CudaGraphStepTest#TYPES")
  void trainingContinuesFromGivenMoments(Types types) {
    try (Tensors tensors = new Tensors(1, types)) {
      Parameter original = tensors.add("w", NUMEL, 0, true);
      Parameter whole = onDevice.twin(original);
      Parameter p = onDevice.twin(original);
      try (Adam adam = adam(whole).stream(onDevice.stream).build()) {
        for (int i = 0; i < 4; i++) {
          adam.step();
        }
        Adam first = adam(p).stream(onDevice.stream).build();
        first.step();
        first.step();
        Parameter continued = onDevice.twin(p);
        first.close();
        try (Adam second = adam(continued).stream(onDevice.stream).build()) {
          second.step();
          second.step();
          assertThat(continued.step()).isEqualTo(4);
          for (ParameterArray array : List.of(DATA, EXP_AVG, EXP_AVG_SQ)) {
            byte[] expected = onDevice.read(array.of(whole));
            assertThat(onDevice.read(array.of(continued))).as("%s", array).isEqualTo(expected);
          }
          if (types.split()) {
            assertThat(onDevice.read(continued.low())).isEqualTo(onDevice.read(whole.low()));
          }
        }
      }
    }
  }

  @Test
  void memoryOfAnotherLibraryIsStepped() {
    Parameter p = parameter("w");
    Parameter same = parameter("w");
    try (DeviceArena view = DeviceArena.open(onDevice.device)) {
      Parameter wrapped =
          Parameter.of(
              "w",
              view.wrap(same.data().address(), same.data().byteSize()),
              view.wrap(same.gradient().address(), same.gradient().byteSize()),
              view.wrap(same.anchor().address(), same.anchor().byteSize()));
      CudaStream foreign = CudaStream.ofHandle(onDevice.device, onDevice.stream.handle());
      try (Adam expected = adam(p).stream(onDevice.stream).build();
          Adam adam = adam(wrapped).stream(foreign).build()) {
        expected.step();
        adam.step();
        assertThat(Arrays.equals(onDevice.read(same.data()), onDevice.read(p.data()))).isTrue();
      }
    }
  }

  /** What the device decides is not waited for. */
  @Test
  void stepsAreRecorded(@TempDir Path folder) throws Exception {
    Parameter p = parameter("w");
    Parameter without = Parameter.builder("v", device(4)).build();
    double[] norm = new double[1];
    try (Adam adam = adam(p, without).stream(onDevice.stream).build()) {
      List<RecordedEvent> events =
          StepEventTest.record(
              folder,
              recording -> recording.enable("io.spd4j.SpdSelection"),
              () -> {
                adam.step();
                norm[0] = adam.stepClipped(1);
                adam.clipAndStep(1);
                adam.stepParameter(p);
                onDevice.stream.fill(p.gradient(), (byte) -1); // NaNs
                adam.stepClipped(1);
              });
      String step = "cuda: 1 tensors, 5000 elements, 0 threads, -1 selected, norm ";
      assertThat(events)
          .extracting(StepEventTest::facts)
          .containsExactly(
              step + "NaN", step + norm[0], step + "NaN", step + "NaN", step + "NaN, skipped");
    }
  }

  @Test
  void anOptimizerWithoutParametersSteps() {
    try (Adam adam = adam().backend(Backend.CUDA).stream(onDevice.stream).build()) {
      adam.step();
      assertThat(adam.stepClipped(1)).isZero();
      assertThat(adam.gradientNorm()).isZero();
    }
  }

  @Test
  void theDeviceOfASegmentIsFound() {
    assertThat(CudaDevice.of(parameter("w").data())).isSameAs(onDevice.device);
  }

  @Test
  void whatALongFrozenParameterHeldMayBeAGradient() {
    MemorySegment there = device(2);
    Parameter a;
    Parameter b = parameter("b");
    try (Adam adam = Adam.builder().group(0.1, new L2SP(0), List.of(b)).build()) {
      ParameterGroup frozen = ParameterGroup.builder().build();
      try (DeviceArena freed = DeviceArena.open(onDevice.device)) {
        MemorySegment data = freed.wrap(there.address(), there.byteSize());
        a = Parameter.of("a", data, device(3));
        adam.addParameter(frozen, a);
        frozen.frozen(true);
        adam.step();
      }
      b.gradient(there);
      adam.step();
      assertThat(b.step()).isEqualTo(2);
      frozen.frozen(false);
      illegalState("data of a lies in an arena that is closed", adam::step);
      assertThat(b.step()).isEqualTo(2);
    }
  }

  @Test
  void aStepThatWouldOverflowIsSkipped() {
    Parameter p = parameter("w");
    try (Adam adam = build(p)) {
      byte[] before = onDevice.read(p.data());
      assertThat(adam.stepClipped(Double.POSITIVE_INFINITY, 1e20)).isInfinite();
      adam.clipAndStep(1e19, 1e20);
      assertThat(p.step()).isZero();
      assertThat(onDevice.read(p.data())).isEqualTo(before);
      double norm = adam.gradientNorm();
      assertThat(adam.stepClipped(9e18, 1e20)).isEqualTo(norm * 1e20).isFinite();
      assertThat(p.step()).isEqualTo(1);
    }
  }
}
