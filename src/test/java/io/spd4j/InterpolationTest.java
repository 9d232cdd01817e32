package io.spd4j;

import static io.spd4j.ElementType.BFLOAT16;
import static io.spd4j.ElementType.FLOAT16;
import static io.spd4j.ElementType.FLOAT32;
import static io.spd4j.ElementType.FLOAT64;
import static io.spd4j.InterpolationCase.TYPES;
import static io.spd4j.Refusals.ON_HEAP;
import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.nullPointer;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.spd4j.kernel.EachKernels;
import io.spd4j.kernel.HostPlace;
import io.spd4j.kernel.Interpolands;
import io.spd4j.kernel.Kernels;
import io.spd4j.kernel.Place;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Interpolation between two arrays of weights in host memory. */
class InterpolationTest {
  @AutoClose private final Arena arena = Arena.ofShared();

  private static Place place(Kernels kernels) {
    return new HostPlace(kernels, 1, null);
  }

  @EachKernels
  void everyTypeSizeAndAlphaHasTheRightBits(Kernels kernels) {
    for (InterpolationCase each : InterpolationCase.all()) {
      try (Arena confined = Arena.ofConfined()) {
        each.assertBits(confined, a -> Interpolation.run(a, place(kernels)));
      }
    }
  }

  /** Random bits, so NaNs of every kind. */
  @EachKernels
  void alpha0And1CopyEveryBit(Kernels kernels) {
    for (ElementType type : TYPES) {
      byte[] bytes = new byte[4 * 4097];
      new SplittableRandom(3).nextBytes(bytes);
      MemorySegment some = arena.allocate(bytes.length, 4).copyFrom(MemorySegment.ofArray(bytes));
      MemorySegment other = arena.allocate(bytes.length, 4).fill((byte) 0xff); // NaNs
      MemorySegment dst = arena.allocate(bytes.length, 4);
      run(kernels, type, some, other, 0, dst);
      assertThat(dst.mismatch(some)).isEqualTo(-1);
      run(kernels, type, other, some, 1, dst.fill((byte) 0));
      assertThat(dst.mismatch(some)).isEqualTo(-1);
      run(kernels, type, dst, other, 0, dst);
      run(kernels, type, other, dst, 1, dst);
      assertThat(dst.mismatch(some)).isEqualTo(-1);
    }
  }

  private static void run(
      Kernels kernels,
      ElementType type,
      MemorySegment from,
      MemorySegment to,
      double alpha,
      MemorySegment dst) {
    Interpolation.run(
        Interpolation.checked(from, type, to, type, alpha, dst, type), place(kernels));
  }

  @EachKernels
  void slicesInParallelGiveTheSameBits(Kernels kernels) {
    InterpolationCase whole = new InterpolationCase(FLOAT32, BFLOAT16, FLOAT16, 100_000, 0.3);
    MemorySegment from = whole.from(arena);
    MemorySegment to = whole.to(arena);
    MemorySegment dst = whole.dst(arena);
    long slice = 9_091; // odd
    IntStream.range(0, 11)
        .parallel()
        .forEach(i -> {
          long begin = i * slice;
          long n = Math.min(slice, whole.numel() - begin);
          MemorySegment x = from.asSlice(begin * Float.BYTES, n * Float.BYTES);
          MemorySegment y = to.asSlice(begin * Short.BYTES, n * Short.BYTES);
          MemorySegment z = dst.asSlice(begin * Short.BYTES, n * Short.BYTES);
          Interpolation.run(whole.checked(x, y, z), place(kernels));
        });
    whole.assertSame(dst, whole.expected(arena, from, to));
  }

  /** The JVM would crash if an arena could be closed while its addresses are used. */
  @EachKernels
  void closingAnArenaMeanwhileIsRefusedOrReported(Kernels kernels, @TempDir Path folder)
      throws Exception {
    long bytes = 1 << 16;
    MemorySegment lasting = arena.allocate(bytes, 64);
    SplittableRandom random = new SplittableRandom(4);
    for (int round = 0; round < 3; round++) {
      Arena victim = Arena.ofShared();
      MemorySegment mapped = Closer.mapped(victim, folder.resolve("array" + round), bytes);
      MemorySegment[] a = {lasting, lasting, lasting};
      a[round] = mapped;
      Interpolands arrays = Interpolation.checked(a[0], FLOAT32, a[1], FLOAT32, 0.3, a[2], FLOAT32);
      Closer closer = new Closer(random.nextLong(3_000_000), victim);
      assertThatExceptionOfType(IllegalStateException.class)
          .isThrownBy(() -> {
            while (true) {
              Interpolation.run(arrays, place(kernels));
            }
          });
      // The JDK interrupts a thread when it breaks off the thread's access to a closed arena.
      Thread.interrupted();
      closer.join();
      assertThat(victim.scope().isAlive()).isFalse();
    }
  }

  @Test
  void theShortFormIsForFloat32() {
    MemorySegment dst = arena.allocate(8, 4);
    Interpolation.interpolate(
        Tensors.of(arena, 1, -8).asReadOnly(), Tensors.of(arena, 3, 8).asReadOnly(), 0.25, dst);
    assertThat(dst.toArray(JAVA_FLOAT)).containsExactly(1.5f, -4);
  }

  @Test
  void nothingIsInterpolatedToNothing() {
    MemorySegment none = arena.allocate(0, 4);
    Interpolation.interpolate(none, none, 0.5, none);
    assertThat(none.byteSize()).isZero();
  }

  /** All that is read may overlap. */
  @Test
  void fromMayBeTo() {
    MemorySegment some = Tensors.of(arena, 1, 2, 3);
    MemorySegment dst = arena.allocate(8, 4);
    Interpolation.interpolate(some.asSlice(0, 8), some.asSlice(4, 8), 0.5, dst);
    assertThat(dst.toArray(JAVA_FLOAT)).containsExactly(1.5f, 2.5f);
    Interpolation.interpolate(some, some, 0.5, some);
    assertThat(some.toArray(JAVA_FLOAT)).containsExactly(1, 2, 3);
  }

  @ParameterizedTest
  @EnumSource(Backend.class)
  void aBackendCanBeGiven(Backend backend) {
    MemorySegment[] a = {Tensors.of(arena, 1), Tensors.of(arena, 2), arena.allocate(4, 4)};
    ThrowingCallable call =
        () -> Interpolation.interpolate(a[0], FLOAT32, a[1], FLOAT32, 0.5, a[2], FLOAT32, backend);
    boolean available =
        Backend.availability().stream().anyMatch(b -> b.backend() == backend && b.available());
    if (!available) {
      assertThatExceptionOfType(IllegalStateException.class)
          .isThrownBy(call)
          .withMessageStartingWith("backend " + backend.id() + " is not available: ");
    } else if (backend == Backend.CUDA) {
      illegalArgument(
          "from lies in host memory: the backend cuda needs memory of a DeviceArena", call);
    } else {
      assertThat(call).satisfies(ThrowingCallable::call);
      assertThat(a[2].get(JAVA_FLOAT, 0)).isEqualTo(1.5f);
    }
  }

  @Test
  void theFlagChoosesTheBackend() {
    String before = System.getProperty("spd4j.backend");
    MemorySegment[] a = {Tensors.of(arena, 1), Tensors.of(arena, 2), Tensors.of(arena, 3)};
    try {
      System.setProperty("spd4j.backend", "opencl");
      illegalArgument(
          "unknown backend \"opencl\": cuda, native, vector or scalar",
          () -> Interpolation.interpolate(a[0], a[1], 0.5, a[2]));
      assertThat(a[2].get(JAVA_FLOAT, 0)).isEqualTo(3);
      Interpolation.interpolate(a[0], FLOAT32, a[1], FLOAT32, 0.5, a[2], FLOAT32, Backend.SCALAR);
      assertThat(a[2].get(JAVA_FLOAT, 0)).isEqualTo(1.5f);
    } finally {
      if (before == null) {
        System.clearProperty("spd4j.backend");
      } else {
        System.setProperty("spd4j.backend", before);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(doubles = {-Double.MIN_VALUE, 1.0000000000000002, Double.NaN, -1, 1.0 / 0})
  void anAlphaOutsideOf0To1IsRefused(double alpha) {
    MemorySegment[] a = arrays(8, 8, 8);
    refused("alpha must be 0 to 1, not " + alpha, a, FLOAT32, FLOAT32, alpha, FLOAT32);
  }

  @Test
  void nullIsNamed() {
    MemorySegment a = arena.allocate(8, 4);
    nullPointer("from is null", () -> Interpolation.interpolate(null, a, 1, a));
    nullPointer("to is null", () -> Interpolation.interpolate(a, null, 1, a));
    nullPointer("dst is null", () -> Interpolation.interpolate(a, a, 1, null));
    nullPointer(
        "toType is null", () -> Interpolation.interpolate(a, FLOAT32, a, null, 1, a, FLOAT32));
  }

  @Test
  void arraysThatDoNotFitAreRefused() {
    String types = ": it must be FLOAT32, BFLOAT16 or FLOAT16";
    refused("from is FLOAT64" + types, arrays(8, 8, 8), FLOAT64, FLOAT32, 0, FLOAT32);
    refused("dst is INT16" + types, arrays(8, 8, 8), FLOAT32, FLOAT32, 0, ElementType.INT16);
    refused("from has 7 bytes, not a multiple of 4", arrays(7, 8, 8), FLOAT32, FLOAT32, 0, FLOAT32);
    refused(
        "to has 8 bytes; 2 elements of BFLOAT16 take 4",
        arrays(8, 8, 8),
        FLOAT32,
        BFLOAT16,
        0.5,
        FLOAT32);
    refused(
        "dst has 4 bytes; 2 elements of FLOAT32 take 8",
        arrays(4, 4, 4),
        FLOAT16,
        FLOAT16,
        0.5,
        FLOAT32);
    String[] names = {"from", "to", "dst"};
    for (int i = 0; i < 3; i++) {
      MemorySegment[] a = arrays(8, 8, 8);
      a[i] = MemorySegment.ofArray(new float[2]);
      refused(names[i] + " " + ON_HEAP, a, FLOAT32, FLOAT32, 0.5, FLOAT32);
      a[i] = arena.allocate(16, 4).asSlice(2, 8);
      refused(
          names[i] + " starts at an address that is not a multiple of 4",
          a,
          FLOAT32,
          FLOAT32,
          0.5,
          FLOAT32);
      Arena gone = Arena.ofShared();
      a[i] = gone.allocate(8, 4);
      gone.close();
      refused(names[i] + " lies in an arena that is closed", a, FLOAT32, FLOAT32, 0.5, FLOAT32);
    }
    MemorySegment[] a = arrays(8, 8, 8);
    a[2] = a[2].asReadOnly();
    refused("dst is read-only, but is written", a, FLOAT32, FLOAT32, 0.5, FLOAT32);
  }

  @Test
  void dstMayBeAnArrayButNotOverlapOne() {
    MemorySegment room = arena.allocate(24, 8);
    for (int i = 0; i < 2; i++) {
      String name = i == 0 ? "from" : "to";
      String message =
          "dst overlaps " + name + ", but is not " + name + " itself with the same type";
      for (long shift : new long[] {-4, 4}) {
        MemorySegment[] a = arrays(8, 8, 8);
        a[i] = room.asSlice(8, 8);
        a[2] = room.asSlice(8 + shift, 8);
        refused(message, a, FLOAT32, FLOAT32, 0.5, FLOAT32);
        a[2] = room.asSlice(8 + 2 * shift, 8); // beside it
        Interpolation.interpolate(a[0], a[1], 0.5, a[2]);
      }
      MemorySegment[] a = arrays(8, 8, 4);
      a[i] = room.asSlice(0, 8);
      a[2] = room.asSlice(0, 4);
      refused(message, a, FLOAT32, FLOAT32, 0.5, BFLOAT16);
      a = arrays(4, 4, 4);
      a[i] = a[2];
      refused(message, a, i == 0 ? FLOAT16 : BFLOAT16, i == 0 ? BFLOAT16 : FLOAT16, 0.5, BFLOAT16);
    }
  }

  @Test
  void arraysOfAnotherThreadAreRefused() {
    String[] names = {"from", "to", "dst"};
    try (Arena confined = Arena.ofConfined()) {
      for (int i = 0; i < 3; i++) {
        MemorySegment[] a = arrays(8, 8, 8);
        a[2].fill((byte) 3);
        a[i] = confined.allocate(8, 4).fill((byte) 3);
        String name = names[i];
        for (Backend backend : new Backend[] {Backend.SCALAR, Backend.VECTOR}) {
          CompletableFuture.runAsync(() ->
                  assertThatExceptionOfType(WrongThreadException.class)
                      .isThrownBy(() ->
                          Interpolation.interpolate(
                              a[0], FLOAT32, a[1], FLOAT32, 1, a[2], FLOAT32, backend))
                      .withMessage(name + " lies in a confined arena of another thread"))
              .join();
        }
        assertUnchanged(a[2]);
      }
    }
  }

  private MemorySegment[] arrays(long... bytes) {
    return IntStream.range(0, bytes.length)
        .mapToObj(i -> arena.allocate(bytes[i], 8))
        .toArray(MemorySegment[]::new);
  }

  /** Asserts that the arrays are refused and none is written. */
  private static void refused(
      String message,
      MemorySegment[] a,
      ElementType from,
      ElementType to,
      double alpha,
      ElementType dst) {
    boolean writable = a[2].scope().isAlive() && !a[2].isReadOnly();
    if (writable) {
      a[2].fill((byte) 3);
    }
    illegalArgument(
        message, () -> Interpolation.interpolate(a[0], from, a[1], to, alpha, a[2], dst));
    if (writable) {
      assertUnchanged(a[2]);
    }
  }

  private static void assertUnchanged(MemorySegment dst) {
    assertThat(dst.toArray(JAVA_BYTE)).containsOnly(3);
  }
}
