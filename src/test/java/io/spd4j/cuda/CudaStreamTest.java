package io.spd4j.cuda;

import static io.spd4j.Refusals.ON_HEAP;
import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.illegalState;
import static io.spd4j.Refusals.nullPointer;
import static io.spd4j.cuda.DeviceMemory.random;
import static io.spd4j.cuda.DeviceMemory.read;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import io.spd4j.generated.cudart.cudart_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

@CudaAvailable
class CudaStreamTest {
  private static final int SIZE = 10_000;

  private final CudaDevice device = CudaDevice.of(0);
  private final DeviceArena arena = DeviceArena.open(device);
  private final Arena host = Arena.ofConfined();
  private final CudaStream stream = CudaStream.create(device);
  private PinnedArena pinned = PinnedArena.open(device);

  @AfterEach
  void close() {
    stream.close();
    host.close();
    pinned.close();
    arena.close();
  }

  private MemorySegment hostBytes() {
    return host.allocateFrom(ValueLayout.JAVA_BYTE, random(SIZE));
  }

  @Test
  void copiesThereAndBack() {
    MemorySegment src = pinned.allocateFrom(ValueLayout.JAVA_BYTE, random(SIZE));
    MemorySegment dst = pinned.allocate(SIZE);
    MemorySegment a = arena.allocate(SIZE);
    MemorySegment b = arena.allocate(SIZE);
    stream.copy(src, a);
    stream.copy(a, b);
    stream.copy(b, dst);
    stream.synchronize();
    assertThat(dst.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(random(SIZE));
  }

  /** After copy, the host memory can be freed and other streams can read the device memory. */
  @Test
  void copiesOfPageableMemoryAreDoneAtOnce() {
    MemorySegment a = arena.allocate(SIZE);
    for (int round = 0; round < 20; round++) {
      for (int i = 0; i < 50; i++) {
        stream.fill(a, (byte) 0);
      }
      try (Arena soonGone = Arena.ofConfined()) {
        stream.copy(soonGone.allocateFrom(ValueLayout.JAVA_BYTE, random(SIZE)), a);
      }
      assertThat(read(a)).isEqualTo(random(SIZE));
      MemorySegment dst = host.allocate(SIZE);
      stream.copy(a, dst);
      assertThat(dst.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(random(SIZE));
    }
  }

  @Test
  void copiesSlices() {
    MemorySegment a = arena.allocate(SIZE);
    stream.fill(a, (byte) 7);
    stream.copy(hostBytes().asSlice(13, 1001), a.asSlice(501, 1001));
    stream.copy(a.asSlice(501, 1001), a.asSlice(5000, 1001)); // within one arena
    stream.synchronize();
    byte[] expected = new byte[SIZE];
    Arrays.fill(expected, (byte) 7);
    System.arraycopy(random(SIZE), 13, expected, 501, 1001);
    System.arraycopy(random(SIZE), 13, expected, 5000, 1001);
    assertThat(read(a)).isEqualTo(expected);
  }

  @Test
  void copiesFromAFileAndFromReadOnlyMemory(@TempDir Path folder) throws Exception {
    Path file = Files.write(folder.resolve("file"), random(SIZE));
    MemorySegment a = arena.allocate(SIZE);
    try (FileChannel channel = FileChannel.open(file)) {
      stream.copy(channel.map(FileChannel.MapMode.READ_ONLY, 0, SIZE, host), a);
    }
    MemorySegment b = arena.allocate(SIZE);
    stream.copy(a.asReadOnly(), b);
    stream.synchronize();
    assertThat(read(b)).isEqualTo(random(SIZE));
  }

  @Test
  void emptySegmentsAreCopiedAndFilled() {
    MemorySegment empty = arena.allocate(0);
    stream.copy(host.allocate(0), empty);
    stream.copy(empty, arena.allocate(16).asSlice(16));
    stream.fill(empty, (byte) 1);
    stream.synchronize();
  }

  @Test
  void impossibleCopiesAreRefused() {
    MemorySegment a = arena.allocate(16);
    MemorySegment b = host.allocate(16);
    refused(a, b.asSlice(1), "src has 16 bytes, dst has 15");
    refused(b, a.asSlice(0, 0), "src has 16 bytes, dst has 0");
    refused(b, host.allocate(16), "neither src nor dst is device memory: use MemorySegment.copy");
    refused(pinned.allocate(16), b, "neither src nor dst is device memory: use MemorySegment.copy");
    refused(MemorySegment.ofArray(new byte[16]), a, "src " + ON_HEAP);
    refused(a, MemorySegment.ofArray(new byte[16]), "dst " + ON_HEAP);
    refused(a, b.asReadOnly(), "dst is read-only, but is written");
    refused(b, a.asReadOnly(), "dst is read-only, but is written");
    refused(a, a, "src and dst overlap");
    refused(a.asSlice(0, 9), a.asSlice(7, 9), "src and dst overlap");
    nullPointer("src is null", () -> stream.copy(null, a));
    nullPointer("dst is null", () -> stream.copy(a, null));
    illegalArgument(
        "the segment is not device memory: use MemorySegment.fill", () -> stream.fill(b, (byte) 1));
    illegalArgument(
        "the segment is read-only, but is written", () -> stream.fill(a.asReadOnly(), (byte) 1));
    assertThat(read(a)).containsOnly(0);
  }

  private void refused(MemorySegment src, MemorySegment dst, String message) {
    illegalArgument(message, () -> stream.copy(src, dst));
  }

  @Test
  void memoryOfAnotherThreadOrOfAClosedArenaIsRefused() {
    MemorySegment a = arena.allocate(16);
    MemorySegment b = host.allocate(16);
    CompletableFuture.runAsync(() ->
            assertThatExceptionOfType(WrongThreadException.class)
                .isThrownBy(() -> stream.copy(b, a)))
        .join();
    Arena other = Arena.ofConfined();
    MemorySegment gone = other.allocate(16);
    other.close();
    illegalState("src lies in an arena that is closed", () -> stream.copy(gone, a));
    stream.synchronize();
    assertThat(read(a)).containsOnly(0);
  }

  @Test
  void fills() {
    MemorySegment a = arena.allocate(SIZE);
    stream.fill(a.asSlice(10, 20), (byte) -3);
    stream.synchronize();
    byte[] expected = new byte[SIZE];
    Arrays.fill(expected, 10, 30, (byte) -3);
    assertThat(read(a)).isEqualTo(expected);
  }

  @Test
  void streamsWaitForEventsOfOthers() {
    MemorySegment a = arena.allocate(SIZE);
    MemorySegment from = pinned.allocateFrom(ValueLayout.JAVA_BYTE, random(SIZE));
    MemorySegment to = pinned.allocate(SIZE);
    try (CudaStream other = CudaStream.create(device)) {
      for (int round = 0; round < 20; round++) {
        stream.fill(a, (byte) 0);
        stream.copy(from, a);
        try (CudaEvent written = stream.record()) {
          other.await(written);
        }
        other.copy(a, to);
        try (CudaEvent done = other.record()) {
          done.synchronize();
          assertThat(to.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(random(SIZE));
          stream.await(done);
        }
      }
    }
  }

  @Test
  void eventsTellTheTimeBetweenThem() {
    MemorySegment a = arena.allocate(SIZE);
    CudaEvent before = stream.record();
    stream.fill(a, (byte) 1);
    CudaEvent after = stream.record();
    assertThat(after.millisSince(before)).isNotNegative().isFinite();
    assertThat(before.millisSince(after)).isEqualTo(-after.millisSince(before));
    assertThat(before.millisSince(before)).isZero();
    after.close();
    after.close();
    for (Runnable use :
        List.<Runnable>of(
            () -> before.millisSince(after),
            () -> after.millisSince(before),
            after::synchronize,
            () -> stream.await(after))) {
      illegalState("this CudaEvent is closed", use::run);
    }
    before.close();
  }

  @Test
  void otherLibrariesStreamsAreUsedAndNotDestroyed() {
    MemorySegment a = arena.allocate(SIZE);
    for (int round = 0; round < 2; round++) {
      try (CudaStream theirs = CudaStream.ofHandle(device, stream.handle())) {
        assertThat(theirs.handle()).isEqualTo(stream.handle());
        theirs.copy(hostBytes(), a);
        theirs.synchronize();
        assertThat(read(a)).isEqualTo(random(SIZE));
      }
    }
    stream.fill(a, (byte) 1);
    stream.synchronize();
    assertThat(read(a)).containsOnly(1);
    try (CudaStream legacy = CudaStream.ofHandle(device, 0)) {
      assertThat(legacy.handle()).isZero();
      assertThat(legacy.device()).isSameAs(device);
      legacy.fill(a, (byte) 2);
      legacy.synchronize();
      assertThat(read(a)).containsOnly(2);
    }
    assertThatNullPointerException().isThrownBy(() -> CudaStream.ofHandle(null, 0));
    assertThatNullPointerException().isThrownBy(() -> CudaStream.create(null));
  }

  @Test
  void theCallersOwnWorkIsEnqueued() {
    MemorySegment a = arena.allocate(SIZE);
    MemorySegment b = pinned.allocate(SIZE);
    MemorySegment to = MemorySegment.ofAddress(b.address());
    MemorySegment from = MemorySegment.ofAddress(a.address());
    MemorySegment handle = MemorySegment.ofAddress(stream.handle());
    stream.fill(a, (byte) 9);
    stream.enqueue(
        "copying by hand",
        List.of(a.asSlice(5), b, a),
        () -> cudart_h.cudaMemcpyAsync(to, from, SIZE, cudart_h.cudaMemcpyDeviceToHost(), handle));
    stream.synchronize();
    assertThat(b.toArray(ValueLayout.JAVA_BYTE)).containsOnly(9);

    assertThatExceptionOfType(CudaException.class)
        .isThrownBy(() -> stream.enqueue("work", List.of(a), () -> 1))
        .withMessage("work failed: cudaErrorInvalidValue (invalid argument)")
        .matches(e -> e.code() == 1);
    assertThatExceptionOfType(ArithmeticException.class)
        .isThrownBy(() ->
            stream.enqueue(
                "work",
                List.of(a),
                () -> {
                  throw new ArithmeticException();
                }));
    illegalArgument(
        "memory for work lies in neither a DeviceArena nor a PinnedArena",
        () -> stream.enqueue("work", List.of(a, hostBytes()), () -> 0));
    arena.allocate(1); // nothing was left in use
  }

  @Test
  void nothingIsClosedWhileInUse() {
    DeviceArena used = DeviceArena.open(device);
    MemorySegment a = used.allocate(16);
    stream.enqueue(
        "closing",
        List.of(a),
        () -> {
          illegalState(
              "this DeviceArena is in use: close it when the call has returned", used::close);
          illegalState(
              "this CudaStream is in use: close it when the call has returned", stream::close);
          return 0;
        });
    assertThat(read(a)).containsOnly(0);
    used.close();
  }

  @Test
  void aClosedStreamIsRefused() {
    CudaStream closed = CudaStream.create(device);
    MemorySegment a = arena.allocate(SIZE);
    closed.copy(pinned.allocateFrom(ValueLayout.JAVA_BYTE, random(SIZE)), a);
    closed.close(); // work that is already enqueued still runs
    closed.close();
    for (Runnable use :
        List.<Runnable>of(
            closed::synchronize,
            closed::record,
            closed::capturing,
            () -> closed.fill(a, (byte) 1),
            () -> closed.copy(hostBytes(), a),
            () -> closed.capture(() -> {}))) {
      illegalState("this CudaStream is closed", use::run);
    }
    pinned.close();
    pinned = PinnedArena.open(device);
    assertThat(read(a)).isEqualTo(random(SIZE));
  }
}
