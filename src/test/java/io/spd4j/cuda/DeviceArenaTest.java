package io.spd4j.cuda;

import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.illegalState;
import static io.spd4j.Refusals.nullPointer;
import static io.spd4j.cuda.DeviceMemory.random;
import static io.spd4j.cuda.DeviceMemory.read;
import static io.spd4j.cuda.DeviceMemory.write;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.spd4j.generated.cudart.cudart_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@CudaAvailable
class DeviceArenaTest {
  private final CudaDevice device = CudaDevice.of(0);
  private final DeviceArena arena = DeviceArena.open(device);

  @AfterEach
  void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }

  @Test
  void memoryIsZeroedAndKeepsWhatIsWritten() {
    MemorySegment segment = arena.allocate(1001, 4);
    assertThat(segment.byteSize()).isEqualTo(1001);
    assertThat(segment.scope()).isEqualTo(arena.scope());
    assertThat(segment.isNative()).isTrue();
    assertThat(CudaDevice.of(segment)).isSameAs(device);
    assertThat(read(segment)).containsOnly(0);
    write(random(1001), segment);
    assertThat(read(segment)).isEqualTo(random(1001));
  }

  /** Memory that is freed and allocated again does not keep its contents. */
  @Test
  void reusedMemoryIsZeroed() {
    for (int i = 0; i < 3; i++) {
      try (DeviceArena again = DeviceArena.open(device)) {
        MemorySegment segment = again.allocate(5000, 4);
        assertThat(read(segment)).containsOnly(0);
        write(random(5000), segment);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 4, 256, 512, 4096, 1 << 21})
  void addressesAreAligned(long alignment) {
    for (int i = 0; i < 3; i++) {
      MemorySegment segment = arena.allocate(300, alignment);
      assertThat(segment.address() % alignment).isZero();
      assertThat(read(segment)).hasSize(300).containsOnly(0);
      write(random(300), segment);
    }
  }

  @Test
  void emptySegmentsHaveDistinctAddresses() {
    MemorySegment a = arena.allocate(0, 64);
    MemorySegment b = arena.allocate(0, 64);
    assertThat(a.byteSize()).isZero();
    assertThat(a.address()).isNotZero().isNotEqualTo(b.address());
    assertThat(a.address() % 64).isZero();
    assertThat(DeviceArena.isDevice(a)).isTrue();
    assertThat(read(a)).isEmpty();
  }

  @Test
  void argumentsAreChecked() {
    illegalArgument("byteSize must be 0 or more, not -1", () -> arena.allocate(-1, 4));
    for (long alignment : new long[] {0, 3, -4, Long.MIN_VALUE}) {
      illegalArgument(
          "byteAlignment must be a power of two, not " + alignment,
          () -> arena.allocate(4, alignment));
    }
    nullPointer("device is null", () -> DeviceArena.open(null));
  }

  @Test
  void javaCannotReadOrWriteIt() {
    MemorySegment segment = arena.allocate(64, 4);
    MemorySegment heap = MemorySegment.ofArray(new int[16]);
    MemorySegment slice = segment.asSlice(8, 8);
    List<ThrowingCallable> accesses =
        List.of(
            () -> segment.get(ValueLayout.JAVA_FLOAT, 0),
            () -> segment.setAtIndex(ValueLayout.JAVA_INT, 1, 1),
            () -> segment.fill((byte) 1),
            () -> segment.toArray(ValueLayout.JAVA_BYTE),
            () -> segment.getString(0),
            () -> segment.copyFrom(heap),
            () -> heap.copyFrom(segment),
            () -> MemorySegment.copy(segment, 0, heap, 0, 4),
            () -> MemorySegment.copy(segment, ValueLayout.JAVA_INT, 0, new int[1], 0, 1),
            () -> segment.mismatch(heap),
            () -> segment.asByteBuffer().get(0),
            () -> segment.asReadOnly().get(ValueLayout.JAVA_BYTE, 0),
            () -> slice.get(ValueLayout.JAVA_BYTE, 0),
            () ->
                segment.elements(ValueLayout.JAVA_INT).toList().get(3).get(ValueLayout.JAVA_INT, 0),
            () -> segment.reinterpret(32),
            () -> arena.allocateFrom(ValueLayout.JAVA_INT, 1, 2, 3),
            () -> arena.allocateFrom("text"),
            () -> MemorySegment.NULL.reinterpret(8, arena, null),
            () -> cudart_h.cudaMemsetAsync$handle().invoke(segment, 0, 64L, MemorySegment.NULL));
    for (ThrowingCallable access : accesses) {
      assertThatExceptionOfType(WrongThreadException.class).isThrownBy(access);
    }
    CompletableFuture.runAsync(() ->
            assertThatExceptionOfType(WrongThreadException.class)
                .isThrownBy(() -> segment.get(ValueLayout.JAVA_FLOAT, 0)))
        .join();
    assertThat(read(segment)).containsOnly(0);
  }

  @Test
  void noFileIsMappedIntoIt(@TempDir Path folder) throws Exception {
    Path file = Files.write(folder.resolve("file"), new byte[8]);
    try (FileChannel channel = FileChannel.open(file)) {
      assertThatExceptionOfType(WrongThreadException.class)
          .isThrownBy(() -> channel.map(FileChannel.MapMode.READ_ONLY, 0, 8, arena));
    }
  }

  @Test
  void isDistinguishedFromAllOtherMemory(@TempDir Path folder) throws Exception {
    MemorySegment segment = arena.allocate(64, 4);
    assertThat(
            List.of(
                segment,
                segment.asSlice(4, 0),
                segment.asReadOnly(),
                arena.wrap(segment.address(), 64),
                arena.wrap(0, 0)))
        .allMatch(DeviceArena::isDevice);

    Path file = Files.write(folder.resolve("file"), new byte[8]);
    try (Arena confined = Arena.ofConfined();
        Arena shared = Arena.ofShared();
        PinnedArena pinned = PinnedArena.open(device);
        FileChannel channel = FileChannel.open(file)) {
      MemorySegment address = MemorySegment.ofAddress(segment.address());
      assertThat(
              List.of(
                  MemorySegment.NULL,
                  MemorySegment.ofArray(new float[4]),
                  MemorySegment.ofBuffer(ByteBuffer.allocateDirect(4)),
                  Arena.global().allocate(4),
                  Arena.ofAuto().allocate(4),
                  confined.allocate(4),
                  shared.allocate(4),
                  pinned.allocate(4),
                  channel.map(FileChannel.MapMode.READ_ONLY, 0, 8, confined),
                  address,
                  address.reinterpret(64),
                  address.reinterpret(64, confined, null)))
          .noneMatch(DeviceArena::isDevice);
      illegalArgument(
          "the segment is not device memory", () -> CudaDevice.of(confined.allocate(4)));
    }
    arena.close();
    assertThat(DeviceArena.isDevice(segment)).isFalse();
  }

  /** The memory may belong to another library's tensor, so this arena must not free it. */
  @Test
  void memoryOfAnotherOwnerIsUsedAndNotFreed() {
    MemorySegment theirs = arena.allocate(4096, 4);
    write(random(4096), theirs);
    try (DeviceArena wrapping = DeviceArena.open(device)) {
      MemorySegment wrapped = wrapping.wrap(theirs.address() + 96, 1000);
      assertThat(wrapped.address()).isEqualTo(theirs.address() + 96);
      assertThat(wrapped.byteSize()).isEqualTo(1000);
      assertThat(read(wrapped)).isEqualTo(Arrays.copyOfRange(random(4096), 96, 1096));
      assertThatExceptionOfType(WrongThreadException.class)
          .isThrownBy(() -> wrapped.get(ValueLayout.JAVA_BYTE, 0));
      write(new byte[1000], wrapped);
      assertThat(wrapping.wrap(0, 0).byteSize()).isZero();
    }
    byte[] bytes = read(theirs);
    assertThat(bytes).startsWith(Arrays.copyOf(random(4096), 96));
    assertThat(bytes[96]).isZero();
  }

  @Test
  void onlyDeviceMemoryIsWrapped() {
    MemorySegment segment = arena.allocate(4096, 4);
    try (Arena host = Arena.ofConfined();
        PinnedArena pinned = PinnedArena.open(device)) {
      long[] addresses = {
        0, 16, -1, Long.MIN_VALUE, host.allocate(64).address(), pinned.allocate(64).address()
      };
      for (long address : addresses) {
        illegalArgument(
            "0x%x is not an address in the memory of %s".formatted(address, device),
            () -> arena.wrap(address, 16));
      }
    }
    assertThatIllegalArgumentException().isThrownBy(() -> arena.wrap(segment.address(), 1L << 50));
    illegalArgument("bytes must be 0 or more, not -1", () -> arena.wrap(segment.address(), -1));
  }

  @ParameterizedTest
  @ValueSource(longs = {1L << 50, Long.MAX_VALUE})
  void tooLargeAnAllocationIsACudaException(long bytes) {
    for (long alignment : new long[] {4, 1 << 21}) {
      assertThatExceptionOfType(CudaException.class)
          .isThrownBy(() -> arena.allocate(bytes, alignment))
          .withMessageMatching(
              "allocating "
                  + bytes
                  + " bytes of memory of .* failed: cudaErrorMemoryAllocation \\(out of memory\\);"
                  + " \\d+ of \\d+ bytes of device memory are free")
          .matches(e -> e.code() == cudart_h.cudaErrorMemoryAllocation());
    }
    assertThat(read(arena.allocate(16, 4))).containsOnly(0);
    assertThat(cudart_h.cudaGetLastError()).isZero();
  }

  @Test
  void aClosedArenaIsRefused() {
    MemorySegment segment = arena.allocate(16, 4);
    assertThat(arena.scope().isAlive()).isTrue();
    arena.close();
    assertThat(arena.scope().isAlive()).isFalse();
    assertThat(segment.scope().isAlive()).isFalse();
    illegalState("this DeviceArena is closed", () -> arena.allocate(16, 4));
    illegalState("this DeviceArena is closed", () -> arena.wrap(segment.address(), 16));
    illegalState("this arena is already closed", arena::close);
    assertThatIllegalArgumentException().isThrownBy(() -> CudaDevice.of(segment));
    try (CudaStream stream = CudaStream.create(device);
        Arena host = Arena.ofConfined()) {
      MemorySegment bytes = host.allocate(16);
      illegalState("src lies in an arena that is closed", () -> stream.copy(segment, bytes));
      illegalState("dst lies in an arena that is closed", () -> stream.copy(bytes, segment));
      illegalState(
          "the segment lies in an arena that is closed", () -> stream.fill(segment, (byte) 0));
      illegalState(
          "memory for stepping lies in an arena that is closed",
          () -> stream.enqueue("stepping", List.of(segment), () -> 1));
    }
  }

  @Test
  void onlyOneOfTwoThreadsCloses() throws Exception {
    for (int round = 0; round < 20; round++) {
      DeviceArena victim = DeviceArena.open(device);
      victim.allocate(64, 4);
      CyclicBarrier start = new CyclicBarrier(2);
      AtomicInteger closed = new AtomicInteger();
      AtomicInteger refused = new AtomicInteger();
      Runnable closer =
          () -> {
            try {
              start.await();
              victim.close();
              closed.incrementAndGet();
            } catch (IllegalStateException e) {
              refused.incrementAndGet();
            } catch (Exception e) {
              throw new AssertionError(e);
            }
          };
      Thread other = Thread.ofPlatform().start(closer);
      closer.run();
      other.join();
      assertThat(closed).hasValue(1);
      assertThat(refused).hasValue(1);
    }
  }

  /** The owner of wrapped memory may free it after close, so all reads must be done by then. */
  @Test
  void closingWaitsForTheDevice() {
    try (PinnedArena pinned = PinnedArena.open(device);
        CudaStream stream = CudaStream.create(device)) {
      int size = 1 << 20;
      MemorySegment theirs = arena.allocate(size, 4);
      MemorySegment busy = arena.allocate(size / 2, 4);
      MemorySegment host = pinned.allocate(size, 4);
      write(random(size), theirs);
      for (int round = 0; round < 10; round++) {
        host.fill((byte) 0);
        try (DeviceArena wrapping = DeviceArena.open(device)) {
          MemorySegment wrapped = wrapping.wrap(theirs.address(), size);
          for (int i = 0; i < 50; i++) { // takes longer than closing
            stream.copy(wrapped.asSlice(0, size / 2), busy);
          }
          stream.copy(wrapped, host);
        }
        assertThat(host.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(random(size));
      }
    }
  }

  @Test
  void arenasAreSharedByThreads() {
    Set<Long> addresses = ConcurrentHashMap.newKeySet();
    Runnable allocating =
        () -> IntStream.range(0, 20).forEach(i -> addresses.add(arena.allocate(i, 8).address()));
    CompletableFuture<Void> other = CompletableFuture.runAsync(allocating);
    allocating.run();
    other.join();
    assertThat(addresses).hasSize(40);
    assertThatCode(arena::close).doesNotThrowAnyException();
  }
}
