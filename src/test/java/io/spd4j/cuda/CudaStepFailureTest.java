package io.spd4j.cuda;

import static io.spd4j.Refusals.illegalState;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.spd4j.Adam;
import io.spd4j.Parameter;
import io.spd4j.SelectiveProjectionDecay;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** CUDA fails while an optimizer uses it. */
@CudaAvailable(onHostOnly = true)
class CudaStepFailureTest {
  private static final int OUT_OF_MEMORY = 2;
  private static final int LAUNCH_OUT_OF_RESOURCES = 701;
  private static final int LAUNCH_FAILURE = 719;
  private static final int BYTES = 20_000;

  private final CudaDevice device = CudaDevice.of(0);
  private final DeviceArena arena = DeviceArena.open(device);
  private final CudaStream stream = CudaStream.create(device);
  private final Parameter parameter = Parameter.of("w", random(), random(), random());

  private MemorySegment random() {
    MemorySegment segment = arena.allocate(BYTES, 64);
    byte[] bytes = DeviceMemory.random(BYTES);
    for (int i = 3; i < BYTES; i += 4) {
      bytes[i] = 0x3f; // floats from 0.5 to 2
    }
    DeviceMemory.write(bytes, segment);
    return segment;
  }

  private Adam.Builder builder() {
    return Adam.builder().group(0.01, new SelectiveProjectionDecay(1), List.of(parameter)).stream(
        stream);
  }

  @AfterEach
  void close() {
    CudaOnHost.reset();
    stream.close();
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }

  /** Whichever allocation fails, nothing stays allocated, and the parameter is still usable. */
  @Test
  void memoryThatRunsOutWhileTheOptimizerIsBuilt() {
    long before = device.freeMemory();
    int failures = 0;
    for (long after = 1; ; after++) {
      CudaOnHost.fail("cudaMalloc", OUT_OF_MEMORY, after);
      CudaException e = catchThrowableOfType(CudaException.class, () -> builder().build().close());
      CudaOnHost.reset();
      assertThat(device.freeMemory()).isEqualTo(before);
      if (e == null) {
        break;
      }
      assertThat(e.code()).isEqualTo(OUT_OF_MEMORY);
      assertThat(e).hasMessageContaining("out of memory");
      failures++;
    }
    assertThat(failures).isGreaterThan(5);
    Parameter same = Parameter.of("w", parameter.data(), parameter.gradient());
    try (Adam adam =
        Adam.builder().group(0.01, new SelectiveProjectionDecay(1), List.of(same)).build()) {
      adam.step();
    }
  }

  /** Fails the first launch of a step, or the second. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2})
  void aLaunchThatFailsBreaksTheOptimizerAndNothingElse(long after) {
    try (Adam adam = builder().build()) {
      adam.step();
      CudaOnHost.fail("cudaLaunchKernelExC", LAUNCH_OUT_OF_RESOURCES, after);
      assertThatExceptionOfType(CudaException.class)
          .isThrownBy(adam::step)
          .withMessageStartingWith("stepping failed: cudaErrorLaunchOutOfResources");
      illegalState("an earlier step broke off half done", adam::step);
      stream.synchronize();
      assertThat(DeviceMemory.read(parameter.data())).hasSize(BYTES);
    }
  }

  @Test
  void aDeviceThatIsLostIsReportedAndTheOptimizerCanBeClosed() {
    Adam adam = builder().build();
    adam.step();
    CudaOnHost.fail("cudaLaunchKernelExC", LAUNCH_FAILURE, 1);
    assertThatExceptionOfType(CudaException.class)
        .isThrownBy(adam::step)
        .withMessageContaining("the device is lost to this process");
    assertThatExceptionOfType(CudaException.class).isThrownBy(parameter::step);
    assertThatExceptionOfType(CudaException.class).isThrownBy(adam::close);
    adam.close();
    illegalState("the optimizer is closed", adam::step);
    assertThatExceptionOfType(CudaException.class).isThrownBy(stream::close);
    assertThatExceptionOfType(CudaException.class).isThrownBy(arena::close);
  }
}
