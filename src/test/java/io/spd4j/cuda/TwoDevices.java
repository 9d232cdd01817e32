package io.spd4j.cuda;

import static io.spd4j.Refusals.illegalArgument;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.spd4j.generated.cudart.cudart_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** Checks what must hold with two devices. Runs in a separate JVM that emulates two devices. */
final class TwoDevices {
  private static final int SIZE = 1 << 20;

  private TwoDevices() {}

  public static void main(String[] args) {
    assertThat(Cuda.devices()).hasSize(2).containsExactly(CudaDevice.of(0), CudaDevice.of(1));
    illegalArgument("there is no device 2: the last one is 1", () -> CudaDevice.of(2));
    assertThatIllegalArgumentException().isThrownBy(() -> CudaDevice.of(-1));
    for (int current = 0; current < 2; current++) {
      assertThat(cudart_h.cudaSetDevice(current)).isZero();
      memoryIsOfItsDevice(CudaDevice.of(0), CudaDevice.of(1));
      memoryIsOfItsDevice(CudaDevice.of(1), CudaDevice.of(0));
      pinnedMemoryWaitsForBoth();
      assertThat(current()).isEqualTo(current);
    }
    System.out.println("done");
  }

  private static void memoryIsOfItsDevice(CudaDevice device, CudaDevice other) {
    int current = current();
    long free = device.freeMemory();
    long otherFree = other.freeMemory();
    try (DeviceArena arena = DeviceArena.open(device);
        DeviceArena others = DeviceArena.open(other);
        CudaStream stream = CudaStream.create(device);
        CudaStream otherStream = CudaStream.create(other)) {
      MemorySegment segment = arena.allocate(SIZE);
      assertThat(device.freeMemory()).isEqualTo(free - SIZE);
      assertThat(other.freeMemory()).isEqualTo(otherFree);
      assertThat(CudaDevice.of(segment)).isSameAs(device);
      MemorySegment theirs = others.allocate(SIZE);

      String refused = "memory of %s cannot be used on %s".formatted(other, device);
      illegalArgument(refused, () -> stream.copy(segment, theirs));
      illegalArgument(refused, () -> stream.fill(theirs, (byte) 1));
      illegalArgument(refused, () -> stream.enqueue("work", List.of(segment, theirs), () -> 0));
      assertThatIllegalArgumentException()
          .isThrownBy(() -> arena.wrap(theirs.address(), SIZE))
          .withMessageContaining("is not an address in the memory of " + device);
      assertThatIllegalArgumentException()
          .isThrownBy(() -> CudaStream.ofHandle(device, otherStream.handle()))
          .withMessage("the stream belongs to device %d, not to %s", other.ordinal(), device);
      CudaStream.ofHandle(device, 0).close();

      try (CudaEvent event = stream.record();
          CudaEvent otherEvent = otherStream.record();
          CudaGraph graph = stream.capture(() -> stream.fill(segment, (byte) 1))) {
        otherStream.await(event);
        illegalArgument("the events are of different devices", () -> event.millisSince(otherEvent));
        assertThatIllegalArgumentException()
            .isThrownBy(() -> otherStream.launch(graph))
            .withMessage("the graph belongs to %s, not to %s", device, other);
      }
      device.run(
          "asking",
          () -> {
            assertThat(current()).isEqualTo(device.ordinal());
            return 0;
          });
      assertThatExceptionOfType(ArithmeticException.class)
          .isThrownBy(() ->
              device.run(
                  "failing",
                  () -> {
                    throw new ArithmeticException();
                  }));
      assertThat(current()).isEqualTo(current);
    }
    assertThat(device.freeMemory()).isEqualTo(free);
  }

  private static void pinnedMemoryWaitsForBoth() {
    try (DeviceArena first = DeviceArena.open(CudaDevice.of(0));
        DeviceArena second = DeviceArena.open(CudaDevice.of(1));
        CudaStream toFirst = CudaStream.create(CudaDevice.of(0));
        CudaStream toSecond = CudaStream.create(CudaDevice.of(1))) {
      MemorySegment a = first.allocate(SIZE);
      MemorySegment b = second.allocate(SIZE);
      for (byte round = 1; round < 10; round++) {
        try (PinnedArena pinned = PinnedArena.open(CudaDevice.of(0))) {
          MemorySegment host = pinned.allocate(SIZE).fill(round);
          toFirst.copy(host, a);
          for (int i = 0; i < 100; i++) {
            toSecond.fill(b, (byte) 0); // takes longer than closing
          }
          toSecond.copy(host, b);
        }
        assertThat(DeviceMemory.read(b)).containsOnly(round);
        assertThat(DeviceMemory.read(a)).containsOnly(round);
      }
    }
  }

  private static int current() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment device = arena.allocate(ValueLayout.JAVA_INT);
      assertThat(cudart_h.cudaGetDevice(device)).isZero();
      return device.get(ValueLayout.JAVA_INT, 0);
    }
  }
}
