package io.spd4j.cuda;

import static io.spd4j.cuda.DeviceMemory.read;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.spd4j.generated.cudart.cudart_h;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Each test makes CUDA fail at a chosen call. */
@CudaAvailable(onHostOnly = true)
class CudaFailureTest {
  private static final int INVALID_VALUE = 1;
  private static final int OUT_OF_MEMORY = 2;
  private static final int LAUNCH_FAILURE = 719;

  private final CudaDevice device = CudaDevice.of(0);
  private final long free = device.freeMemory();

  @AfterEach
  void reset() {
    CudaOnHost.reset();
  }

  private static CudaException failing(ThrowingCallable call) {
    return catchThrowableOfType(CudaException.class, call);
  }

  @Test
  void tooLargeAnAllocationIsRefusedAndTheRestIsFreed() {
    DeviceArena arena = DeviceArena.open(device);
    MemorySegment some = arena.allocate(1 << 20);
    assertThat(failing(() -> arena.allocate(free)))
        .hasMessage(
            "allocating %d bytes of memory of %s failed: cudaErrorMemoryAllocation (out of memory);"
                + " %d of %d bytes of device memory are free",
            free, device, free - (1 << 20), device.totalMemory());
    assertThat(read(some)).containsOnly(0);
    assertThat(device.freeMemory()).isEqualTo(free - (1 << 20));
    arena.close();
    assertThat(device.freeMemory()).isEqualTo(free);
  }

  @ParameterizedTest
  @ValueSource(strings = {"cudaMalloc", "cudaMemsetAsync", "cudaStreamSynchronize"})
  void anAllocationThatFailsLeavesNothingBehind(String function) {
    try (DeviceArena arena = DeviceArena.open(device)) {
      CudaOnHost.fail(function, OUT_OF_MEMORY, 1);
      assertThat(failing(() -> arena.allocate(1000)).code()).isEqualTo(OUT_OF_MEMORY);
      assertThat(cudart_h.cudaGetLastError()).isZero();
      assertThat(read(arena.allocate(1000))).containsOnly(0);
    }
    assertThat(device.freeMemory()).isEqualTo(free);
  }

  @Test
  void anAddressThatCudaRefusesIsNotWrapped() {
    try (DeviceArena arena = DeviceArena.open(device)) {
      MemorySegment segment = arena.allocate(16);
      CudaOnHost.fail("cudaPointerGetAttributes", INVALID_VALUE, 1);
      assertThatIllegalArgumentException()
          .isThrownBy(() -> arena.wrap(segment.address(), 16))
          .withMessageContaining("is not an address in the memory of " + device);
      assertThat(cudart_h.cudaGetLastError()).isZero();
      CudaOnHost.fail("cudaPointerGetAttributes", OUT_OF_MEMORY, 1);
      assertThat(failing(() -> arena.wrap(segment.address(), 16)).code()).isEqualTo(OUT_OF_MEMORY);
      assertThat(arena.wrap(segment.address(), 16).byteSize()).isEqualTo(16);
    }
  }

  @Test
  void aFailedCreationIsAnExceptionAndLeavesNothingBehind() {
    CudaOnHost.fail("cudaStreamCreateWithFlags", OUT_OF_MEMORY, 1);
    assertThat(failing(() -> DeviceArena.open(device)))
        .hasMessageStartingWith("creating a stream failed: cudaErrorMemoryAllocation");
    CudaOnHost.fail("cudaHostAlloc", OUT_OF_MEMORY, 1);
    try (PinnedArena pinned = PinnedArena.open(device);
        CudaStream stream = CudaStream.create(device)) {
      assertThat(failing(() -> pinned.allocate(77)))
          .hasMessageStartingWith("allocating 77 bytes of page-locked memory failed: ");
      CudaOnHost.fail("cudaEventCreateWithFlags", OUT_OF_MEMORY, 1);
      assertThat(failing(stream::record)).hasMessageStartingWith("creating an event failed: ");
      CudaOnHost.fail("cudaEventRecord", INVALID_VALUE, 1);
      CudaOnHost.fail("cudaEventDestroy", INVALID_VALUE, 1); // undoing the record hits it
      assertThat(failing(stream::record)).hasMessageStartingWith("recording an event failed: ");
      stream.record().close();
      assertThat(pinned.allocate(77).byteSize()).isEqualTo(77);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "cudaStreamBeginCapture, beginning a capture failed: ",
    "cudaStreamEndCapture, ending a capture failed: ",
    "cudaGraphInstantiate, instantiating a graph failed: ",
    "cudaGraphDestroy, closing what was captured failed: "
  })
  void aCaptureThatFailsIsAnException(String function, String message) {
    try (DeviceArena arena = DeviceArena.open(device)) {
      MemorySegment segment = arena.allocate(16);
      CudaStream stream = CudaStream.create(device);
      long graphs = function.equals("cudaGraphDestroy") ? 1 : 0; // what it did not destroy
      long before = CudaOnHost.objects();
      CudaOnHost.fail(function, OUT_OF_MEMORY, 1);
      assertThat(failing(() -> stream.capture(() -> stream.fill(segment, (byte) 1))))
          .hasMessageStartingWith(message);
      assertThat(CudaOnHost.objects()).isEqualTo(before + graphs);
      stream.close();
      try (CudaStream another = CudaStream.create(device);
          CudaGraph graph = another.capture(() -> another.fill(segment, (byte) 1))) {
        another.launch(graph);
        another.synchronize();
      }
      assertThat(read(segment)).containsOnly(1);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"cudaStreamEndCapture", "cudaGraphDestroy"})
  void theActionsExceptionComesBeforeCudas(String function) {
    try (CudaStream stream = CudaStream.create(device)) {
      CudaOnHost.fail(function, INVALID_VALUE, 1);
      assertThatExceptionOfType(ArithmeticException.class)
          .isThrownBy(() ->
              stream.capture(() -> {
                throw new ArithmeticException("ours");
              }))
          .withMessage("ours")
          .satisfies(e ->
              assertThat(e.getSuppressed())
                  .singleElement()
                  .asInstanceOf(InstanceOfAssertFactories.THROWABLE)
                  .isInstanceOf(CudaException.class));
    }
  }

  /** Every later call reports the loss, and none waits forever. */
  @Test
  void everyCallReportsALostDevice() {
    DeviceArena arena = DeviceArena.open(device);
    PinnedArena pinned = PinnedArena.open(device);
    CudaStream stream = CudaStream.create(device);
    MemorySegment segment = arena.allocate(16);
    MemorySegment host = pinned.allocate(16);
    CudaEvent event = stream.record();
    CudaGraph graph = stream.capture(() -> stream.copy(segment, host));

    CudaOnHost.fail("cudaMemcpyAsync", LAUNCH_FAILURE, 1);
    assertThat(failing(() -> stream.copy(host, segment)))
        .hasMessage(
            "copying 16 bytes failed: cudaErrorLaunchFailure (unspecified launch failure);"
                + " the device is lost to this process, which has to be restarted");
    List<ThrowingCallable> uses =
        List.of(
            () -> stream.copy(host, segment),
            () -> stream.fill(segment, (byte) 1),
            () -> stream.launch(graph),
            () -> stream.capture(() -> {}),
            () -> stream.await(event),
            stream::record,
            stream::synchronize,
            event::synchronize,
            () -> event.millisSince(event),
            () -> arena.allocate(16),
            () -> pinned.allocate(16),
            () -> arena.wrap(segment.address(), 16),
            () -> DeviceArena.open(device),
            () -> CudaStream.create(device),
            device::freeMemory,
            graph::close,
            event::close,
            stream::close,
            pinned::close,
            arena::close);
    for (ThrowingCallable use : uses) {
      assertThat(failing(use).code()).isEqualTo(LAUNCH_FAILURE);
    }
    assertThatCode(stream::close).doesNotThrowAnyException();
    assertThatCode(event::close).doesNotThrowAnyException();
    assertThatCode(graph::close).doesNotThrowAnyException();
    assertThat(arena.scope().isAlive()).isFalse();
    assertThat(pinned.scope().isAlive()).isFalse();
    assertThatIllegalStateException().isThrownBy(arena::close);
  }

  /** Asynchronous work that failed is reported when it is waited for; the memory is freed. */
  @ParameterizedTest
  @CsvSource({"cudaDeviceSynchronize, waiting for", "cudaStreamDestroy, freeing memory of"})
  void closingReportsWhatFailedAndFreesTheRest(String function, String message) {
    DeviceArena arena = DeviceArena.open(device);
    arena.allocate(1000);
    CudaOnHost.fail(function, INVALID_VALUE, 1);
    assertThat(failing(arena::close))
        .hasMessageStartingWith(message + " " + device + " failed: cudaErrorInvalidValue");
    assertThat(arena.scope().isAlive()).isFalse();
    assertThat(device.freeMemory()).isEqualTo(free);
  }

  /** Another library may have given the device work on the memory. */
  @Test
  void pinnedMemoryAlwaysWaitsForItsDevice() {
    PinnedArena pinned = PinnedArena.open(device);
    CudaOnHost.fail("cudaDeviceSynchronize", INVALID_VALUE, 1);
    assertThat(failing(pinned::close)).hasMessageStartingWith("waiting for " + device);
  }
}
