package io.spd4j;

import static io.spd4j.ElementType.BFLOAT16;
import static io.spd4j.ElementType.FLOAT16;
import static io.spd4j.ElementType.FLOAT32;
import static io.spd4j.Refusals.illegalArgument;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.spd4j.cuda.CudaAvailable;
import io.spd4j.cuda.CudaGraph;
import io.spd4j.cuda.CudaStream;
import io.spd4j.kernel.Interpolands;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;

/** Interpolation in device memory gives the bits of host memory. */
@CudaAvailable
class CudaInterpolationTest {
  @AutoClose private final Arena arena = Arena.ofShared();
  @AutoClose private final OnDevice onDevice = new OnDevice();

  /** Interpolates copies in device memory, in place if dst is one of the arrays. */
  private void run(Interpolands a) {
    MemorySegment from = onDevice.copy(a.from());
    MemorySegment to = onDevice.copy(a.to());
    MemorySegment dst =
        a.dst() == a.from() ? from : a.dst() == a.to() ? to : onDevice.copy(a.dst());
    Interpolation.interpolate(
        from, a.fromType(), to, a.toType(), a.alpha(), dst, a.dstType(), onDevice.stream);
    onDevice.stream.copy(dst, a.dst());
  }

  @Test
  void everyTypeSizeAndAlphaHasTheRightBits() {
    for (InterpolationCase each : InterpolationCase.all()) {
      each.assertBits(arena, this::run);
    }
  }

  @Test
  void withoutAStreamTheDefaultStreamIsUsed() {
    InterpolationCase each = new InterpolationCase(FLOAT32, BFLOAT16, FLOAT16, 1000, 0.3);
    MemorySegment from = each.from(arena);
    MemorySegment to = each.to(arena);
    MemorySegment dst = each.dst(arena);
    MemorySegment deviceDst = onDevice.copy(dst);
    Interpolation.interpolate(
        onDevice.copy(from), FLOAT32, onDevice.copy(to), BFLOAT16, 0.3, deviceDst, FLOAT16);
    try (CudaStream legacy = CudaStream.ofHandle(onDevice.device, 0)) {
      legacy.copy(deviceDst, dst);
    }
    each.assertSame(dst, each.expected(arena, from, to));
  }

  @Test
  void itCanBeCaptured() {
    InterpolationCase each = new InterpolationCase(FLOAT32, FLOAT32, FLOAT32, 5000, 0.5);
    MemorySegment from = each.from(arena);
    MemorySegment to = each.to(arena);
    MemorySegment average = onDevice.copy(from);
    MemorySegment deviceTo = onDevice.copy(to);
    CudaStream stream = onDevice.stream;
    Runnable work =
        () ->
            Interpolation.interpolate(
                average, FLOAT32, deviceTo, FLOAT32, 0.5, average, FLOAT32, stream);
    work.run();
    try (CudaGraph graph = stream.capture(work)) {
      stream.launch(graph);
      stream.launch(graph);
      stream.synchronize();
    }
    MemorySegment expected = from;
    for (int i = 0; i < 3; i++) {
      expected = each.expected(arena, expected, to);
    }
    MemorySegment dst = each.dst(arena);
    stream.copy(average, dst);
    each.assertSame(dst, expected);
  }

  @Test
  void arraysInDifferentMemoryAreRefused() {
    MemorySegment host = Tensors.of(arena, 1, 2);
    MemorySegment device = onDevice.copy(host);
    MemorySegment dst = onDevice.copy(Tensors.of(arena, 3, 4));
    String inHost = " lies in host memory: the backend cuda needs memory of a DeviceArena";
    String inDevice = " lies in device memory, which only the backend cuda steps";
    illegalArgument("from" + inHost, () -> Interpolation.interpolate(host, device, 0.5, dst));
    illegalArgument("to" + inHost, () -> Interpolation.interpolate(device, host, 1, dst));
    illegalArgument("from" + inDevice, () -> Interpolation.interpolate(dst, host, 0, host));
    illegalArgument(
        "dst" + inHost,
        () ->
            Interpolation.interpolate(
                device, FLOAT32, dst, FLOAT32, 0.5, host, FLOAT32, onDevice.stream));
    illegalArgument(
        "from" + inDevice,
        () ->
            Interpolation.interpolate(
                device, FLOAT32, device, FLOAT32, 0.5, dst, FLOAT32, Backend.SCALAR));
    assertThat(onDevice.read(dst)).isEqualTo(Tensors.of(arena, 3, 4).toArray(JAVA_BYTE));
  }

  @Test
  void aClosedStreamIsRefused() {
    MemorySegment device = onDevice.copy(Tensors.of(arena, 1, 2));
    MemorySegment dst = onDevice.copy(Tensors.of(arena, 3, 4));
    CudaStream stream = CudaStream.create(onDevice.device);
    stream.close();
    assertThatIllegalStateException()
        .isThrownBy(() ->
            Interpolation.interpolate(device, FLOAT32, device, FLOAT32, 0.5, dst, FLOAT32, stream))
        .withMessageContaining("closed");
  }
}
