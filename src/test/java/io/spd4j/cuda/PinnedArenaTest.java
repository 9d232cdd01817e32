package io.spd4j.cuda;

import static io.spd4j.cuda.DeviceMemory.random;
import static io.spd4j.cuda.DeviceMemory.read;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;

@CudaAvailable
class PinnedArenaTest {
  private final CudaDevice device = CudaDevice.of(0);

  @Test
  void javaReadsAndWritesItFromEveryThread() throws Exception {
    try (PinnedArena arena = PinnedArena.open(device)) {
      assertThat(arena.device()).isSameAs(device);
      MemorySegment segment = arena.allocate(4000, 64);
      assertThat(segment.address() % 64).isZero();
      assertThat(segment.toArray(ValueLayout.JAVA_BYTE)).hasSize(4000).containsOnly(0);
      Thread.ofPlatform().start(() -> segment.set(ValueLayout.JAVA_FLOAT, 8, 5f)).join();
      assertThat(segment.get(ValueLayout.JAVA_FLOAT, 8)).isEqualTo(5f);
      assertThat(arena.allocate(10, 1 << 16).address() % (1 << 16)).isZero();
      assertThat(arena.allocate(0, 1).byteSize()).isZero();
      assertThat(arena.allocateFrom("text").getString(0)).isEqualTo("text");
    }
  }

  @Test
  void argumentsAreChecked() {
    try (PinnedArena arena = PinnedArena.open(device)) {
      assertThatIllegalArgumentException().isThrownBy(() -> arena.allocate(-1, 4));
      assertThatIllegalArgumentException().isThrownBy(() -> arena.allocate(4, 6));
      assertThatExceptionOfType(CudaException.class)
          .isThrownBy(() -> arena.allocate(Long.MAX_VALUE, 4))
          .withMessageStartingWith("allocating " + Long.MAX_VALUE + " bytes of page-locked memory");
      assertThat(arena.allocate(4, 4).get(JAVA_INT, 0)).isZero();
    }
    assertThatNullPointerException().isThrownBy(() -> PinnedArena.open(null));
  }

  @Test
  void aClosedArenaIsRefused() {
    PinnedArena arena = PinnedArena.open(device);
    MemorySegment segment = arena.allocate(4, 4);
    arena.close();
    assertThat(arena.scope().isAlive()).isFalse();
    assertThatIllegalStateException().isThrownBy(() -> segment.get(JAVA_INT, 0));
    assertThatIllegalStateException().isThrownBy(() -> arena.allocate(4, 4));
    assertThatIllegalStateException().isThrownBy(arena::close);
  }

  /** C's qsort gets the segment as an argument, and the comparator tries to close the arena. */
  @Test
  void memoryThatANativeCallUsesIsNotFreed() throws Throwable {
    PinnedArena arena = PinnedArena.open(device);
    MemorySegment segment = arena.allocateFrom(JAVA_INT, 2, 1);
    Linker linker = Linker.nativeLinker();
    AtomicReference<Throwable> refusal = new AtomicReference<>();
    MethodHandle comparator =
        MethodHandles.insertArguments(
            MethodHandles.lookup()
                .findStatic(
                    PinnedArenaTest.class,
                    "closeAndCompare",
                    MethodType.methodType(
                        int.class,
                        PinnedArena.class,
                        AtomicReference.class,
                        MemorySegment.class,
                        MemorySegment.class)),
            0,
            arena,
            refusal);
    try (Arena calls = Arena.ofConfined()) {
      MemorySegment upcall =
          linker.upcallStub(comparator, FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS), calls);
      linker
          .downcallHandle(
              linker.defaultLookup().find("qsort").orElseThrow(),
              FunctionDescriptor.ofVoid(ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS))
          .invokeExact(segment, 2L, 4L, upcall);
    }
    assertThat(refusal.get()).isInstanceOf(IllegalStateException.class);
    assertThat(arena.allocate(4).byteSize()).isEqualTo(4);
    assertThat(segment.getAtIndex(JAVA_INT, 1)).isEqualTo(2);
    arena.close();
    assertThat(segment.scope().isAlive()).isFalse();
  }

  private static int closeAndCompare(
      PinnedArena arena, AtomicReference<Throwable> refusal, MemorySegment a, MemorySegment b) {
    try {
      arena.close();
    } catch (Throwable e) {
      refusal.set(e);
    }
    return Integer.compare(a.reinterpret(4).get(JAVA_INT, 0), b.reinterpret(4).get(JAVA_INT, 0));
  }

  /** The copy is complete although nobody waited for it before the memory was freed. */
  @Test
  void closingWaitsForCopiesInFlight() {
    int size = 1 << 20;
    try (DeviceArena arena = DeviceArena.open(device);
        CudaStream stream = CudaStream.create(device)) {
      MemorySegment onDevice = arena.allocate(size, 4);
      for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 50; i++) {
          stream.fill(onDevice, (byte) 0); // takes longer than closing
        }
        try (PinnedArena pinned = PinnedArena.open(device)) {
          MemorySegment host = pinned.allocate(size, 4);
          host.copyFrom(MemorySegment.ofArray(random(size)));
          stream.copy(host, onDevice);
        }
        assertThat(read(onDevice)).isEqualTo(random(size));
      }
    }
  }
}
