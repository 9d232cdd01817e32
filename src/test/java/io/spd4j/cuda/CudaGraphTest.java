package io.spd4j.cuda;

import static io.spd4j.Refusals.illegalState;
import static io.spd4j.cuda.DeviceMemory.random;
import static io.spd4j.cuda.DeviceMemory.read;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.spd4j.generated.cudart.cudart_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@CudaAvailable
class CudaGraphTest {
  private static final int SIZE = 10_000;

  private final CudaDevice device = CudaDevice.of(0);
  private final DeviceArena arena = DeviceArena.open(device);
  private final PinnedArena pinned = PinnedArena.open(device);
  private final CudaStream stream = CudaStream.create(device);
  private final MemorySegment a = arena.allocate(SIZE);
  private final MemorySegment from = pinned.allocate(SIZE);
  private final MemorySegment to = pinned.allocate(SIZE);

  @AfterEach
  void close() {
    stream.close();
    if (pinned.scope().isAlive()) {
      pinned.close();
    }
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }

  private void thereAndBack() {
    stream.copy(from, a);
    stream.copy(a, to);
  }

  @Test
  void aLaunchWorksOnTheCurrentContentsOfTheMemory() {
    assertThat(stream.capturing()).isFalse();
    CudaGraph graph =
        stream.capture(() -> {
          assertThat(stream.capturing()).isTrue();
          thereAndBack();
        });
    assertThat(stream.capturing()).isFalse();
    stream.synchronize();
    from.fill((byte) 1);
    assertThat(to.toArray(ValueLayout.JAVA_BYTE)).containsOnly(0);
    for (int round = 2; round < 10; round++) {
      from.fill((byte) round);
      stream.launch(graph);
      stream.synchronize();
      assertThat(to.toArray(ValueLayout.JAVA_BYTE)).containsOnly(round);
    }
    try (CudaStream other = CudaStream.create(device)) {
      from.fill((byte) 99);
      other.launch(graph);
      graph.close(); // a launched graph still runs
      other.synchronize();
      assertThat(to.toArray(ValueLayout.JAVA_BYTE)).containsOnly(99);
    }
    graph.close();
    illegalState("this CudaGraph is closed", () -> stream.launch(graph));
  }

  @Test
  void aCaptureCanBeEmpty() {
    try (CudaGraph graph = stream.capture(() -> {})) {
      stream.launch(graph);
      stream.synchronize();
    }
  }

  @Test
  void whatTheActionThrowsEndsTheCapture() {
    for (Throwable thrown : List.of(new ArithmeticException("ours"), new AssertionError("ours"))) {
      assertThatExceptionOfType(Throwable.class)
          .isThrownBy(() ->
              stream.capture(() -> {
                thereAndBack();
                if (thrown instanceof Error e) {
                  throw e;
                }
                throw (RuntimeException) thrown;
              }))
          .isSameAs(thrown)
          .satisfies(e -> assertThat(e).hasNoSuppressedExceptions());
      assertThat(stream.capturing()).isFalse();
      from.fill((byte) 3);
      thereAndBack();
      stream.synchronize();
      assertThat(to.toArray(ValueLayout.JAVA_BYTE)).containsOnly(3);
      to.fill((byte) 0);
    }
  }

  @Test
  void memoryIsAllocatedInACapture() {
    AtomicReference<MemorySegment> allocated = new AtomicReference<>();
    from.fill((byte) 4);
    try (CudaGraph graph =
        stream.capture(() -> {
          allocated.set(arena.allocate(SIZE));
          stream.copy(from, allocated.get());
        })) {
      assertThat(read(allocated.get())).containsOnly(0);
      stream.launch(graph);
      stream.synchronize();
      assertThat(read(allocated.get())).containsOnly(4);
    }
  }

  /** A virtual thread may end the capture on another carrier than it began on. */
  @Test
  void virtualThreadsCapture() {
    from.fill((byte) 2);
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      List<CompletableFuture<Void>> captures =
          Stream.generate(() -> CompletableFuture.runAsync(this::captureAndLaunch, threads))
              .limit(8)
              .toList();
      captures.forEach(CompletableFuture::join);
    }
  }

  private void captureAndLaunch() {
    try (CudaStream own = CudaStream.create(device);
        CudaGraph graph =
            own.capture(() -> {
              LockSupport.parkNanos(1_000_000); // makes the thread leave its carrier
              own.copy(from, a);
            })) {
      own.launch(graph);
      own.synchronize();
      assertThat(read(a)).containsOnly(2);
    }
  }

  /** Other libraries use it: their work neither waits for a capture nor breaks it. */
  @Test
  void theLegacyDefaultStreamIsNotCaptured() {
    try (CudaStream legacy = CudaStream.ofHandle(device, 0);
        CudaGraph graph =
            stream.capture(() -> {
              thereAndBack();
              legacy.fill(a, (byte) 7);
              legacy.synchronize();
            })) {
      assertThat(read(a)).containsOnly(7);
      stream.launch(graph);
      stream.synchronize();
      assertThat(read(a)).containsOnly(0);
    }
  }

  @Test
  void whatCannotBeCapturedIsRefusedBeforeCudaSeesIt() {
    try (Arena host = Arena.ofConfined();
        CudaStream legacy = CudaStream.ofHandle(device, 0)) {
      MemorySegment pageable = host.allocate(SIZE);
      stream
          .capture(() -> {
            assertThatIllegalStateException()
                .isThrownBy(() -> stream.copy(pageable, a))
                .withMessageStartingWith(
                    "host memory can be copied in a capture only if it lies in a PinnedArena");
            assertThatIllegalStateException().isThrownBy(() -> stream.copy(a, pageable));
            illegalState("an arena cannot be closed during a capture", arena::close);
            assertThatIllegalStateException().isThrownBy(pinned::close);
            assertThatIllegalStateException().isThrownBy(stream::close);
            illegalState("the stream is already captured", () -> stream.capture(() -> {}));
            thereAndBack();
          })
          .close();
      illegalState(
          "the legacy default stream cannot be captured: create a stream",
          () -> legacy.capture(() -> {}));
    }
    assertThat(stream.capturing()).isFalse();
  }

  @Test
  void whatCudaRefusesInACaptureIsACudaException() {
    assertThatExceptionOfType(CudaException.class)
        .isThrownBy(() -> stream.capture(stream::synchronize))
        .withMessageContaining("cudaErrorStreamCaptureUnsupported");
    assertThatExceptionOfType(CudaException.class)
        .isThrownBy(() ->
            stream.capture(() -> {
              try {
                stream.synchronize();
              } catch (CudaException e) {
                // CUDA has abandoned the capture
              }
            }))
        .withMessageContaining("cudaErrorStreamCaptureInvalidated");
    try (CudaStream other = CudaStream.create(device)) {
      assertThatExceptionOfType(CudaException.class)
          .isThrownBy(() ->
              stream.capture(() -> {
                stream.fill(a, (byte) 1);
                try (CudaEvent event = stream.record()) {
                  other.await(event);
                }
                other.fill(a, (byte) 2); // stream never waits for this
              }))
          .withMessageContaining("cudaErrorStreamCaptureUnjoined");
      assertThat(other.capturing()).isFalse();
    }
    AtomicReference<CudaEvent> event = new AtomicReference<>();
    stream.capture(() -> event.set(stream.record())).close();
    assertThatExceptionOfType(CudaException.class)
        .isThrownBy(() -> event.get().synchronize())
        .withMessageContaining("cudaErrorCapturedEvent");
    event.get().close();
    assertThat(stream.capturing()).isFalse();
    thereAndBack();
    stream.synchronize();
    assertThat(cudart_h.cudaGetLastError()).isZero();
  }

  /** The graph also uses the arenas of the streams that joined. */
  @Test
  void otherStreamsJoinACapture() {
    PinnedArena theirs = PinnedArena.open(device);
    try (CudaStream other = CudaStream.create(device)) {
      MemorySegment result = theirs.allocate(SIZE);
      CudaGraph graph =
          stream.capture(() -> {
            stream.copy(from, a);
            try (CudaEvent fork = stream.record()) {
              other.await(fork);
            }
            other.copy(a, result);
            try (CudaEvent join = other.record()) {
              stream.await(join);
            }
          });
      from.copyFrom(MemorySegment.ofArray(random(SIZE)));
      stream.launch(graph);
      stream.synchronize();
      assertThat(result.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(random(SIZE));
      other.copy(result, a); // other is no longer captured
      other.synchronize();
      theirs.close();
      illegalState("this PinnedArena is closed", () -> stream.launch(graph));
      graph.close();
    }
  }

  @Test
  void aGraphWhoseMemoryIsFreedIsNotLaunched() {
    try (CudaGraph graph = stream.capture(this::thereAndBack)) {
      arena.close();
      illegalState("this DeviceArena is closed", () -> stream.launch(graph));
      stream.synchronize();
    }
  }

  /** A graph that captured another graph's launch also uses that graph's memory. */
  @Test
  void launchesOfGraphsAreCaptured() {
    try (CudaGraph inner = stream.capture(this::thereAndBack)) {
      CudaGraph outer = stream.capture(() -> stream.launch(inner));
      from.fill((byte) 5);
      stream.launch(outer);
      stream.synchronize();
      assertThat(to.toArray(ValueLayout.JAVA_BYTE)).containsOnly(5);
      pinned.close();
      assertThatIllegalStateException().isThrownBy(() -> stream.launch(outer));
      outer.close();
    }
  }

  @Test
  void closingAGraphsMemoryWaitsForItsLaunches() {
    for (int round = 1; round < 10; round++) {
      PinnedArena soonGone = PinnedArena.open(device);
      MemorySegment source = soonGone.allocate(SIZE);
      CudaGraph graph = stream.capture(() -> stream.copy(source, a));
      source.fill((byte) round);
      stream.launch(graph);
      soonGone.close();
      assertThat(read(a)).containsOnly(round);
      graph.close();
    }
  }

  @Test
  @Timeout(60)
  void closingAnArenaWaitsForAnotherThreadsCaptureToEnd() {
    DeviceArena other = DeviceArena.open(device);
    other.allocate(SIZE);
    CountDownLatch closing = new CountDownLatch(1);
    AtomicReference<CompletableFuture<Void>> closed = new AtomicReference<>();
    CudaGraph graph =
        stream.capture(() -> {
          closed.set(
              CompletableFuture.runAsync(() -> {
                closing.countDown();
                other.close();
              }));
          await(closing);
          while (other.scope().isAlive()) {
            Thread.onSpinWait();
          }
          thereAndBack();
          assertThat(closed.get()).isNotDone();
        });
    closed.get().join();
    from.fill((byte) 6);
    stream.launch(graph);
    stream.synchronize();
    assertThat(to.toArray(ValueLayout.JAVA_BYTE)).containsOnly(6);
    graph.close();
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** Another library captures the stream through its handle. */
  @Test
  void hostMemoryIsRefusedInACaptureByAnotherLibrary() {
    stream.capture(() -> {}).close();
    try (Arena calls = Arena.ofConfined()) {
      MemorySegment out = calls.allocate(ValueLayout.ADDRESS);
      MemorySegment handle = MemorySegment.ofAddress(stream.handle());
      assertThat(cudart_h.cudaStreamBeginCapture(handle, cudart_h.cudaStreamCaptureModeRelaxed()))
          .isZero();
      assertThat(stream.capturing()).isTrue();
      stream.fill(a, (byte) 8);
      assertThatIllegalStateException().isThrownBy(() -> stream.copy(from, a));
      illegalState("the stream is already captured", () -> stream.capture(() -> {}));
      assertThat(cudart_h.cudaStreamEndCapture(handle, out)).isZero();
      assertThat(cudart_h.cudaGraphDestroy(out.get(ValueLayout.ADDRESS, 0))).isZero();
    }
    assertThat(read(a)).containsOnly(0);
    thereAndBack();
    stream.synchronize();
  }
}
