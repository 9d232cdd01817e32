package io.spd4j;

import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.nullPointer;
import static io.spd4j.Tensors.parameter;
import static io.spd4j.Tensors.random;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.StepCase.Types;
import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.FieldSource;

/** Parameters over memory of which only the address is known. */
class OfAddressTest {
  private static final String NO_SIZE =
      "has no size: a segment from MemorySegment.ofAddress or from native code has 0 bytes until"
          + " reinterpret gives it its size (a tensor without elements: allocate it from an arena"
          + " other than the global one)";

  @AutoClose private final Arena arena = Arena.ofShared();

  @ParameterizedTest
  @FieldSource("io.spd4j.StepCase#TYPES")
  void stepsInPlaceWithTheSameBits(Types types) {
    for (Kernels kernels : AllKernels.list()) {
      try (Tensors tensors = new Tensors(3, types)) {
        Parameter p = tensors.add("p", 5001, 0, true);
        Parameter copy = Tensors.twin(tensors.arena, p);
        Parameter at =
            Parameter.ofAddress("p", copy.data().address(), 5001, types.data())
                .low(copy.low())
                .gradient(copy.gradient().address(), types.gradient())
                .anchor(copy.anchor().address(), types.anchor())
                .momentType(types.moments())
                .build();
        try (Adam expected = Optimizers.adam(kernels, new L2SP(0.2), List.of(p));
            Adam adam = Optimizers.adam(kernels, new L2SP(0.2), List.of(at))) {
          expected.step();
          adam.step();
          MemorySegment next = tensors.gradient(5001, 0);
          p.gradient(next);
          at.gradient(next.address());
          expected.step();
          adam.step();
          assertThat(State.of(adam)).isEqualTo(State.of(expected));
          assertThat(copy.data().mismatch(p.data())).isEqualTo(-1);
          assertThat(at.step()).isEqualTo(2);
        }
      }
    }
  }

  @Test
  void aWrongAddressIsRefusedByName() {
    long data = random(arena, 1, 4).address();
    ElementType float32 = ElementType.FLOAT32;
    illegalArgument(
        "data of w: the address is 0 (null)", () -> Parameter.ofAddress("w", 0, 4, float32));
    illegalArgument(
        "data of w starts at an address that is not a multiple of 4",
        () -> Parameter.ofAddress("w", data + 2, 4, float32));
    illegalArgument(
        "data of w: numel is out of range: -1", () -> Parameter.ofAddress("w", data, -1, float32));
    illegalArgument(
        "data of w: numel is out of range: 4611686018427387904",
        () -> Parameter.ofAddress("w", data, 1L << 62, float32));
    illegalArgument(
        "data of w: numel is out of range: " + Long.MAX_VALUE / 4,
        () -> Parameter.ofAddress("w", data, Long.MAX_VALUE / 4, float32));
    nullPointer("name is null", () -> Parameter.ofAddress(null, data, 4, float32));
    nullPointer("type of the data of w is null", () -> Parameter.ofAddress("w", data, 4, null));
    Parameter.Builder w = Parameter.ofAddress("w", data, 4, float32);
    illegalArgument("gradient of w: the address is 0 (null)", () -> w.gradient(0, float32));
    illegalArgument("anchor of w: the address is 0 (null)", () -> w.anchor(0, float32));
    illegalArgument(
        "gradient of w starts at an address that is not a multiple of 4",
        () -> w.gradient(data + 1, float32));
    illegalArgument(
        "anchor of w starts at an address that is not a multiple of 2",
        () -> w.anchor(data + 1, ElementType.BFLOAT16));
    nullPointer("type of the gradient of w is null", () -> w.gradient(data, null));
    nullPointer("type of the anchor of w is null", () -> w.anchor(data, null));
    nullPointer("data of v is null", () -> Parameter.builder("v", null).gradient(data, float32));
    nullPointer(
        "type of the data of v is null",
        () -> Parameter.builder("v", MemorySegment.NULL, null).anchor(data, float32));
    illegalArgument(
        "data of w is FLOAT64: it must be FLOAT32, BFLOAT16 or FLOAT16",
        () -> Parameter.ofAddress("w", data, 2, ElementType.FLOAT64).build());
  }

  @Test
  void aWrongAddressOfALaterGradientIsRefusedByName() {
    Parameter p = parameter(arena, "p", 1, 4);
    MemorySegment gradient = p.gradient();
    try (Adam adam = Adam.builder().group(Optimizers.group(new L2SP(1), List.of(p))).build()) {
      illegalArgument("gradient of p: the address is 0 (null)", () -> p.gradient(0));
      illegalArgument(
          "gradient of p starts at an address that is not a multiple of 4",
          () -> p.gradient(gradient.address() + 3));
      illegalArgument(
          "gradient of p overlaps data of p", () -> p.gradient(p.data().address() + 12));
      assertThat(p.gradient()).isSameAs(gradient);
      adam.step();
    }
  }

  /** Torch gives the address 0 for a tensor without elements. */
  @Test
  void aTensorWithoutElementsIsStepped() {
    Parameter p =
        Parameter.ofAddress("p", 0, 0, ElementType.FLOAT32)
            .gradient(0, ElementType.FLOAT32)
            .anchor(0, ElementType.BFLOAT16)
            .build();
    try (Adam adam = Adam.builder().group(Optimizers.group(new L2SP(1), List.of(p))).build()) {
      adam.step();
      p.gradient(0);
      assertThat(adam.stepClipped(1)).isZero();
      assertThat(p.step()).isEqualTo(2);
      assertThat(p.numel()).isZero();
    }
  }

  @Test
  void aSegmentWithoutASizeIsRefused() {
    MemorySegment address = MemorySegment.ofAddress(random(arena, 1, 4).address());
    MemorySegment array = random(arena, 2, 4);
    illegalArgument("data of w " + NO_SIZE, () -> Parameter.of("w", address, address));
    illegalArgument("data of w " + NO_SIZE, () -> Parameter.of("w", address, array));
    illegalArgument("gradient of w " + NO_SIZE, () -> Parameter.of("w", array, address));
    illegalArgument("anchor of w " + NO_SIZE, () -> Parameter.of("w", array, array, address));
    illegalArgument(
        "expAvg of w " + NO_SIZE,
        () -> Parameter.builder("w", array).moments(address, random(arena, 3, 4)).build());
    Parameter p = parameter(arena, "p", 1, 4);
    illegalArgument("gradient of p " + NO_SIZE, () -> p.gradient(address));
  }

  @Test
  void anEmptySegmentOfAnArenaIsATensorWithoutElements() {
    for (Arena each : List.of(arena, Arena.ofAuto(), Arena.ofConfined())) {
      assertThat(Parameter.of("w", each.allocate(0), each.allocate(0)).numel()).isZero();
    }
    MemorySegment address = MemorySegment.ofAddress(64);
    assertThat(Parameter.of("w", arena.allocate(0), address, address).numel()).isZero();
  }
}
