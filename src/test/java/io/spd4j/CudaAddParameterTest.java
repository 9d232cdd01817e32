package io.spd4j;

import static io.spd4j.Optimizers.group;
import static io.spd4j.ParameterArray.DATA;
import static io.spd4j.ParameterArray.EXP_AVG;
import static io.spd4j.ParameterArray.EXP_AVG_SQ;
import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.illegalState;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.spd4j.cuda.CudaAvailable;
import io.spd4j.cuda.CudaGraph;
import io.spd4j.kernel.AllKernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** Parameters that join an optimizer of device memory give the bits of plain Java. */
@CudaAvailable
class CudaAddParameterTest {
  private final OnDevice onDevice = new OnDevice();

  @AfterEach
  void close() {
    onDevice.close();
  }

  @ParameterizedTest
  @FieldSource("io.spd4j.StepCase#TYPES")
  void theBitsAreThoseOfAnOptimizerThatAlwaysHadIt(StepCase.Types types) {
    DecayRule spd = new SelectiveProjectionDecay(1);
    int[] numels = {5000, 12_289, 64, 0, 9000};
    try (Tensors tensors = new Tensors(5, types)) {
      for (int i = 0; i < numels.length; i++) {
        tensors.add("p" + i, numels[i], i, true);
      }
      List<Parameter> all = tensors.parameters;
      List<Parameter> late = all.stream().map(onDevice::twin).toList();
      List<MemorySegment> gradients = all.stream().map(Parameter::gradient).toList();
      ParameterGroup first = group(spd, List.of());
      ParameterGroup second = group(spd, List.of());
      try (Adam whole =
              Optimizers.adam(
                  AllKernels.list().getFirst(),
                  1,
                  group(spd, all.subList(0, 3)),
                  group(spd, all.subList(3, 5)));
          Adam grown = Adam.builder().group(first).group(second).stream(onDevice.stream).build()) {
        assertThat(grown.backend()).isEqualTo(Backend.CUDA);
        grown.step();
        int[] joins = {0, 2, 3, 0, 1};
        for (int step = 0; step < 5; step++) {
          for (int i = 0; i < joins.length; i++) {
            if (joins[i] == step) {
              grown.addParameter(i < 3 ? first : second, late.get(i));
            }
          }
          for (int i = 0; i < joins.length; i++) {
            all.get(i).gradient(joins[i] > step ? null : gradients.get(i));
          }
          tensors.nextGradients();
          onDevice.copyGradients();
          assertThat(grown.stepClipped(0.5)).isEqualTo(whole.stepClipped(0.5));
          assertThat(grown.spdReports()).isEqualTo(whole.spdReports());
        }
        assertThat(whole.spdReports()).anyMatch(r -> r.selections() > 0);
        assertThat(State.steps(grown))
            .isEqualTo(State.steps(whole))
            .containsExactly(5L, 3L, 2L, 5L, 4L);
        for (int i = 0; i < joins.length; i++) {
          for (ParameterArray array : List.of(DATA, EXP_AVG, EXP_AVG_SQ)) {
            assertThat(onDevice.read(array.of(late.get(i))))
                .as("%s of p%d", array, i)
                .isEqualTo(array.of(all.get(i)).toArray(JAVA_BYTE));
          }
        }
      }
    }
  }

  private Parameter parameter(String name, long seed) {
    try (Arena host = Arena.ofConfined()) {
      return onDevice.twin(Tensors.parameter(host, name, seed, 5000));
    }
  }

  @Test
  void aGraphCapturedBeforeCannotBeLaunchedAgain() {
    Parameter p = parameter("p", 1);
    Parameter q = parameter("q", 2);
    ParameterGroup group = group(new SelectiveProjectionDecay(1), List.of(p));
    try (Adam adam = Adam.builder().group(group).stream(onDevice.stream).build();
        CudaGraph before = onDevice.stream.capture(adam::step)) {
      onDevice.stream.launch(before);
      adam.addParameter(group, q);
      assertThat(State.steps(adam)).containsExactly(1L, 0L);
      adam.uploadSettings();
      assertThat(State.steps(adam)).containsExactly(1L, 0L);
      assertThatIllegalStateException().isThrownBy(() -> onDevice.stream.launch(before));
      try (CudaGraph after = onDevice.stream.capture(adam::step)) {
        onDevice.stream.launch(after);
        onDevice.stream.launch(after);
        assertThat(State.steps(adam)).containsExactly(3L, 2L);
        assertThat(adam.spdReport(p).orElseThrow().checked()).isEqualTo(3);
      }
    }
  }

  @Test
  void noParameterJoinsInACapture() {
    ParameterGroup group = group(new NoDecay(), List.of(parameter("p", 1)));
    Parameter q = parameter("q", 2);
    try (Adam adam = Adam.builder().group(group).stream(onDevice.stream).build()) {
      String message =
          "a capture can neither add parameters nor save: call addParameter and uploadSettings, or"
              + " save, before it";
      onDevice
          .stream
          .capture(() -> illegalState(message, () -> adam.addParameter(group, q)))
          .close();
      adam.addParameter(group, q);
      onDevice.stream.capture(() -> illegalState(message, adam::step)).close();
      adam.uploadSettings();
      try (CudaGraph graph = onDevice.stream.capture(adam::step)) {
        onDevice.stream.launch(graph);
        assertThat(State.steps(adam)).containsExactly(1L, 1L);
      }
    }
  }

  @Test
  void memoryOfTheOtherKindIsRefused() {
    try (Arena host = Arena.ofConfined();
        Adam onHost = Adam.builder().group(group(new NoDecay(), List.of())).build();
        Adam onGpu =
            Adam.builder().group(group(new NoDecay(), List.of())).backend(Backend.CUDA).build()) {
      Parameter p = Tensors.parameter(host, "p", 1, 10);
      illegalArgument(
          "data of p lies in host memory: the backend cuda needs memory of a DeviceArena",
          () -> onGpu.addParameter(onGpu.groups().getFirst(), p));
      illegalArgument(
          "data of q lies in device memory, which only the backend cuda steps",
          () -> onHost.addParameter(onHost.groups().getFirst(), parameter("q", 1)));
      onHost.addParameter(onHost.groups().getFirst(), p);
      onGpu.addParameter(onGpu.groups().getFirst(), parameter("q", 1));
    }
  }

  @Test
  void everythingThatItAllocatesIsFreed() {
    long free = onDevice.device.freeMemory();
    try (OnDevice own = new OnDevice();
        Arena host = Arena.ofConfined()) {
      ParameterGroup group = group(new NoDecay(), List.of());
      try (Adam adam = Adam.builder().group(group).stream(own.stream).build()) {
        for (int i = 0; i < 5; i++) {
          adam.addParameter(group, own.twin(Tensors.parameter(host, "p" + i, i, 100)));
          adam.step();
        }
      }
    }
    assertThat(onDevice.device.freeMemory()).isEqualTo(free);
  }
}
