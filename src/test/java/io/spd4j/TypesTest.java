package io.spd4j;

import static io.spd4j.Refusals.ON_HEAP;
import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.illegalState;
import static io.spd4j.Refusals.nullPointer;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.StepCase.Types;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;
import org.junit.jupiter.params.provider.MethodSource;

/** Types that a step does not take, and arrays that do not fit their type, are refused by name. */
class TypesTest {
  private static final int NUMEL = 70;

  @AutoClose private final Arena arena = Arena.ofShared();

  /** Every combination, AMSGrad's maximum included unless the moments have 8 bits. */
  static Stream<Types> combinations() {
    List<ElementType> stepped =
        List.of(ElementType.FLOAT32, ElementType.BFLOAT16, ElementType.FLOAT16);
    List<Types> all = new ArrayList<>();
    for (ElementType data : stepped) {
      for (ElementType gradient : stepped) {
        for (ElementType anchor : stepped) {
          for (MomentType moments : MomentType.values()) {
            all.add(new Types(data, false, gradient, anchor, moments));
            if (data == ElementType.BFLOAT16) {
              all.add(new Types(data, true, gradient, anchor, moments));
            }
          }
        }
      }
    }
    return all.stream();
  }

  private MemorySegment bytes(long size) {
    return arena.allocate(size, 64).fill((byte) 1);
  }

  private MemorySegment[] arrays(Types types) {
    MemorySegment[] arrays = new MemorySegment[6];
    for (ParameterArray array : ParameterArray.values()) {
      if (array != ParameterArray.MAX_EXP_AVG_SQ || types.moments() != MomentType.BLOCKWISE_8BIT) {
        arrays[array.ordinal()] = bytes(types.bytes(array, NUMEL));
      }
    }
    return arrays;
  }

  private MemorySegment low(Types types) {
    return types.split() ? bytes(2 * NUMEL) : null;
  }

  private static String size(ParameterArray array, Types types) {
    String type =
        switch (array) {
          case GRADIENT -> types.gradient().name();
          case ANCHOR -> types.anchor().name();
          default -> types.moments().name();
        };
    return "; " + NUMEL + " elements of " + type + " take " + types.bytes(array, NUMEL);
  }

  private static byte[] ones(long size) {
    byte[] ones = new byte[(int) size];
    Arrays.fill(ones, (byte) 1);
    return ones;
  }

  /** Asserts that a call throws and writes none of the arrays. */
  private static void untouched(MemorySegment[] arrays, Runnable refused) {
    refused.run();
    for (MemorySegment array : arrays) {
      if (array != null && array.scope().isAlive() && array.isNative()) {
        assertThat(array.toArray(JAVA_BYTE)).isEqualTo(ones(array.byteSize()));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("combinations")
  void everyCombinationOfTypesIsAccepted(Types types) {
    Parameter p = types.parameter("p", low(types), arrays(types));
    assertThat(p.numel()).isEqualTo(NUMEL);
    assertThat(p.type()).isEqualTo(types.data());
    assertThat(p.gradientType()).isEqualTo(types.gradient());
    assertThat(p.anchorType()).isEqualTo(types.anchor());
    assertThat(p.momentType()).isEqualTo(types.moments());
    assertThat(p.low() != null).isEqualTo(types.split());
  }

  @ParameterizedTest
  @MethodSource("combinations")
  void anArrayOfAnotherSizeIsRefused(Types types) {
    for (ParameterArray array : ParameterArray.values()) {
      MemorySegment[] a = arrays(types);
      MemorySegment low = low(types);
      int i = array.ordinal();
      if (array == ParameterArray.DATA || a[i] == null) {
        continue;
      }
      long right = a[i].byteSize();
      for (long wrong : new long[] {0, right - 4, right + 4, 2 * right, NUMEL * 8}) {
        a[i] = bytes(wrong);
        String message = array + " of p has " + wrong + " bytes" + size(array, types);
        untouched(a, () -> illegalArgument(message, () -> types.parameter("p", low, a)));
      }
      a[i] = bytes(right + 1);
      String odd = array + " of p has " + (right + 1) + " bytes, not a multiple of ";
      untouched(
          a, () -> illegalArgument(odd + types.unit(array), () -> types.parameter("p", low, a)));
    }
  }

  @ParameterizedTest
  @MethodSource("combinations")
  void aMisalignedArrayIsRefused(Types types) {
    for (ParameterArray array : ParameterArray.values()) {
      MemorySegment[] a = arrays(types);
      int i = array.ordinal();
      if (a[i] != null) {
        a[i] = bytes(a[i].byteSize() + 64).asSlice(types.unit(array) / 2, a[i].byteSize());
        String message =
            array + " of p starts at an address that is not a multiple of " + types.unit(array);
        untouched(a, () -> illegalArgument(message, () -> types.parameter("p", low(types), a)));
      }
    }
  }

  /** Arrays of the same number of bytes but another type are still of another size. */
  @Test
  void theSizeOfTheDataCountsItsElements() {
    MemorySegment data = bytes(NUMEL);
    assertThat(Parameter.builder("p", data, ElementType.BFLOAT16).build().numel()).isEqualTo(35);
    illegalArgument(
        "data of p has 70 bytes, not a multiple of 4", () -> Parameter.builder("p", data).build());
    illegalArgument(
        "gradient of p has 70 bytes, not a multiple of 4",
        () -> Parameter.builder("p", data, ElementType.FLOAT16).gradient(bytes(NUMEL)).build());
    illegalArgument(
        "data of p has 71 bytes, not a multiple of 2",
        () -> Parameter.builder("p", bytes(71), ElementType.FLOAT16).build());
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0, 0, 0",
    "1, 4, 2, 8",
    "3, 12, 6, 8",
    "4, 16, 8, 8",
    "5, 20, 10, 12",
    "63, 252, 126, 68",
    "64, 256, 128, 68",
    "65, 260, 130, 76",
    "128, 512, 256, 136",
    "4096, 16384, 8192, 4352",
    "4097, 16388, 8194, 4360",
    "10000000000, 40000000000, 20000000000, 10625000000",
  })
  void theSizeOfMoments(long numel, long float32, long bfloat16, long blockwise) {
    assertThat(MomentType.FLOAT32.byteSize(numel)).isEqualTo(float32);
    assertThat(MomentType.BFLOAT16.byteSize(numel)).isEqualTo(bfloat16);
    assertThat(MomentType.BLOCKWISE_8BIT.byteSize(numel)).isEqualTo(blockwise);
  }

  @ParameterizedTest
  @EnumSource(
      mode = Mode.EXCLUDE,
      names = {"FLOAT32", "BFLOAT16", "FLOAT16"})
  void otherElementTypesAreRefused(ElementType type) {
    MemorySegment data = bytes(8 * NUMEL);
    String isIt = " is " + type + ": it must be FLOAT32, BFLOAT16 or FLOAT16";
    illegalArgument("data of p" + isIt, () -> Parameter.builder("p", data, type).build());
    illegalArgument(
        "gradient of p" + isIt, () -> Parameter.builder("p", data).gradient(null, type).build());
    illegalArgument(
        "gradient of p" + isIt,
        () -> Parameter.builder("p", data).gradient(bytes(2 * NUMEL), type).build());
    illegalArgument(
        "anchor of p" + isIt, () -> Parameter.builder("p", data).anchor(null, type).build());
  }

  @Test
  void nullTypesAreNamed() {
    MemorySegment a = bytes(4);
    nullPointer("type of the data of p is null", () -> Parameter.builder("p", a, null).build());
    nullPointer(
        "type of the gradient of p is null",
        () -> Parameter.builder("p", a).gradient(a, null).build());
    nullPointer(
        "type of the anchor of p is null", () -> Parameter.builder("p", a).anchor(a, null).build());
    nullPointer(
        "momentType of p is null", () -> Parameter.builder("p", a).momentType(null).build());
  }

  @Test
  void aLowHalfThatCannotBeUsedIsRefused() {
    MemorySegment good = bytes(2 * NUMEL);
    refusedLow("has 142 bytes; 70 elements of INT16 take 140", bytes(142));
    refusedLow("has 280 bytes; 70 elements of INT16 take 140", bytes(4 * NUMEL));
    refusedLow("has 0 bytes; 70 elements of INT16 take 140", bytes(0));
    refusedLow("has 139 bytes, not a multiple of 2", bytes(139));
    refusedLow(
        "starts at an address that is not a multiple of 2", bytes(200).asSlice(1, 2 * NUMEL));
    refusedLow("is read-only, but is written", good.asReadOnly());
    refusedLow(ON_HEAP, MemorySegment.ofArray(new short[NUMEL]));
    Arena closed = Arena.ofShared();
    MemorySegment gone = closed.allocate(2 * NUMEL, 2);
    closed.close();
    refusedLow("lies in an arena that is closed", gone);
    for (ElementType type : new ElementType[] {ElementType.FLOAT32, ElementType.FLOAT16}) {
      illegalArgument(
          "low of p is given, but the data is " + type + ", not BFLOAT16",
          () -> Parameter.builder("p", bytes(type.byteSize() * NUMEL), type).low(good).build());
    }
  }

  private void refusedLow(String fault, MemorySegment low) {
    MemorySegment data = bytes(2 * NUMEL);
    untouched(
        new MemorySegment[] {data, low},
        () ->
            illegalArgument(
                "low of p " + fault,
                () -> Parameter.builder("p", data, ElementType.BFLOAT16).low(low).build()));
  }

  @Test
  void amsgradWith8BitMomentsIsRefused() {
    String message =
        "moments of p are BLOCKWISE_8BIT, but its group is AMSGrad, which needs FLOAT32 or BFLOAT16";
    for (boolean brought : new boolean[] {false, true}) {
      for (boolean maximum : brought ? new boolean[] {false, true} : new boolean[] {false}) {
        MemorySegment[] a = {bytes(4 * NUMEL), bytes(80), bytes(80), bytes(80)};
        Parameter p =
            Parameter.builder("p", a[0])
                .momentType(MomentType.BLOCKWISE_8BIT)
                .moments(brought ? a[1] : null, brought ? a[2] : null)
                .maxExpAvgSq(maximum ? a[3] : null)
                .build();
        ParameterGroup group = ParameterGroup.builder().amsgrad(true).parameter(p).build();
        untouched(a, () -> illegalArgument(message, () -> Adam.builder().group(group).build()));
        if (maximum) {
          ParameterGroup other = ParameterGroup.builder().parameter(p).build();
          illegalArgument(
              "maxExpAvgSq of p is given, but its group is not AMSGrad",
              () -> Adam.builder().group(other).build());
        }
      }
    }
  }

  @Test
  void amsgradWithOtherMomentsIsAccepted() {
    for (MomentType moments : new MomentType[] {MomentType.FLOAT32, MomentType.BFLOAT16}) {
      Parameter p = Parameter.builder("p", bytes(4 * NUMEL)).momentType(moments).build();
      ParameterGroup group = ParameterGroup.builder().amsgrad(true).parameter(p).build();
      try (Adam adam = Adam.builder().group(group).build()) {
        assertThat(adam.parameters()).containsExactly(p);
        assertThat(p.maxExpAvgSq().byteSize()).isEqualTo(moments.byteSize(NUMEL));
      }
    }
  }

  /** Moments that the optimizer allocates are zeros, aligned, and as large as their type says. */
  @ParameterizedTest
  @EnumSource
  void theOptimizerAllocatesMomentsOfTheirType(MomentType type) {
    List<Parameter> parameters = new ArrayList<>();
    for (int numel = 0; numel < 140; numel++) {
      parameters.add(Parameter.builder("p" + numel, bytes(4 * numel)).momentType(type).build());
    }
    try (Adam adam = Adam.builder().group(0.1, new NoDecay(), parameters).build()) {
      long end = 0;
      for (Parameter p : adam.parameters()) {
        for (MemorySegment moment : List.of(p.expAvg(), p.expAvgSq())) {
          assertThat(moment.byteSize()).isEqualTo(type.byteSize(p.numel()));
          assertThat(moment.address() % 64).isZero();
          byte[] content = moment.toArray(JAVA_BYTE);
          assertThat(content).isEqualTo(new byte[content.length]);
          if (moment.byteSize() > 0) {
            assertThat(moment.address()).isGreaterThanOrEqualTo(end);
            end = moment.address() + moment.byteSize();
          }
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"FLOAT32", "BFLOAT16", "FLOAT16"})
  void aGradientThatIsSetLaterHasTheTypeOfTheFirst(ElementType type) {
    int size = type.byteSize();
    MemorySegment gradient = bytes(size * NUMEL);
    MemorySegment data = bytes(4 * NUMEL);
    Parameter p = Parameter.builder("p", data).gradient(gradient, type).build();
    MemorySegment other = bytes((6 - size) * NUMEL);
    String message =
        "gradient of p has "
            + other.byteSize()
            + " bytes; 70 elements of "
            + type
            + " take "
            + size * NUMEL;
    illegalArgument(message, () -> p.gradient(other));
    try (Adam adam = Adam.builder().group(0.1, new NoDecay(), List.of(p)).build()) {
      State before = State.of(adam);
      illegalArgument(message, () -> p.gradient(other));
      illegalArgument(
          "gradient of p starts at an address that is not a multiple of " + size,
          () -> p.gradient(bytes(6 * NUMEL).asSlice(size / 2, size * NUMEL)));
      illegalArgument(
          "gradient of p overlaps data of p",
          () -> p.gradient(data.asSlice(4 * NUMEL - size * NUMEL)));
      assertThat(p.gradient()).isSameAs(gradient);
      assertThat(State.of(adam)).isEqualTo(before);
      p.gradient(bytes(size * NUMEL));
      p.gradient(null);
      adam.step();
      assertThat(p.step()).isZero();
    }
  }

  @Test
  void theLowHalfMustNotOverlapAnotherArray() {
    Types types =
        new Types(
            ElementType.BFLOAT16,
            true,
            ElementType.BFLOAT16,
            ElementType.BFLOAT16,
            MomentType.BFLOAT16);
    long size = 2 * NUMEL;
    for (ParameterArray array : ParameterArray.values()) {
      for (boolean oneTensor : new boolean[] {true, false}) {
        for (long shift : new long[] {0, 2, -2, size - 2, 2 - size, size, -size}) {
          MemorySegment[] p = arrays(types);
          MemorySegment[] q = arrays(types);
          MemorySegment memory = bytes(5 * size);
          MemorySegment low = memory.asSlice(2 * size, size);
          (oneTensor ? p : q)[array.ordinal()] = memory.asSlice(2 * size + shift, size);
          Parameter[] both = {types.parameter("p", low, p), types.parameter("q", bytes(size), q)};
          ParameterGroup group =
              ParameterGroup.builder().amsgrad(true).parameters(List.of(both)).build();
          if (Math.abs(shift) == size) {
            Adam.builder().group(group).build().close();
            continue;
          }
          Map<?, ?> before = State.arrays(List.of(both));
          assertThatThrownBy(() -> Adam.builder().group(group).build())
              .isInstanceOf(IllegalArgumentException.class)
              .hasMessageContainingAll(
                  "low of p", " overlaps ", array + (oneTensor ? " of p" : " of q"));
          assertThat(State.arrays(List.of(both))).isEqualTo(before);
        }
      }
    }
  }

  @Test
  void theLowHalvesOfTwoParametersMustNotOverlap() {
    MemorySegment memory = bytes(3 * NUMEL);
    Parameter p = split("p", bytes(2 * NUMEL), memory.asSlice(0, 2 * NUMEL)).build();
    Parameter q = split("q", bytes(2 * NUMEL), memory.asSlice(NUMEL, 2 * NUMEL)).build();
    illegalArgument(
        "low of q overlaps low of p",
        () -> Adam.builder().group(0.1, new NoDecay(), List.of(p, q)).build());
  }

  @Test
  void aNewGradientMustNotOverlapTheLowHalf() {
    MemorySegment memory = bytes(6 * NUMEL);
    MemorySegment low = memory.asSlice(2 * NUMEL, 2 * NUMEL);
    Parameter p = split("p", bytes(2 * NUMEL), low).gradient(null, ElementType.FLOAT16).build();
    try (Adam adam = Adam.builder().group(0.1, new NoDecay(), List.of(p)).build()) {
      for (long begin : new long[] {2, 2 * NUMEL, 4 * NUMEL - 2}) {
        illegalArgument(
            "gradient of p overlaps low of p", () -> p.gradient(memory.asSlice(begin, 2 * NUMEL)));
      }
      p.gradient(memory.asSlice(0, 2 * NUMEL));
      p.gradient(memory.asSlice(4 * NUMEL, 2 * NUMEL));
      assertThat(adam.parameters()).containsExactly(p);
    }
  }

  /** Builds an optimizer whose low half lies in an arena of its own. */
  private void withLowIn(Arena arena, Consumer<Adam> test) {
    MemorySegment low = arena.allocate(2 * NUMEL, 2);
    Parameter p =
        split("p", bytes(2 * NUMEL), low).gradient(bytes(2 * NUMEL), ElementType.BFLOAT16).build();
    try (Adam adam = Adam.builder().group(0.1, new NoDecay(), List.of(p)).build()) {
      test.accept(adam);
    }
  }

  @Test
  void aStepWhoseLowHalfIsInAClosedArenaIsRefused() {
    Arena closed = Arena.ofShared();
    withLowIn(
        closed,
        adam -> {
          closed.close();
          State before = State.of(adam);
          String message = "low of p lies in an arena that is closed";
          illegalState(message, adam::step);
          illegalState(message, () -> adam.stepClipped(1));
          illegalState(message, () -> adam.stepParameter(adam.parameters().getFirst()));
          assertThat(State.of(adam)).isEqualTo(before);
          assertThat(adam.parameters().getFirst().step()).isZero();
        });
  }

  @Test
  void anOptimizerWhoseLowHalfIsInAClosedArenaIsRefused() {
    Arena closed = Arena.ofShared();
    MemorySegment data = bytes(2 * NUMEL);
    Parameter p = split("p", data, closed.allocate(2 * NUMEL, 2)).build();
    closed.close();
    untouched(
        new MemorySegment[] {data},
        () ->
            illegalArgument(
                "low of p lies in an arena that is closed",
                () -> Adam.builder().group(0.1, new NoDecay(), List.of(p)).build()));
  }

  @Test
  void aStepWhoseLowHalfBelongsToAnotherThreadIsRefused() {
    try (Arena confined = Arena.ofConfined()) {
      withLowIn(
          confined,
          adam -> {
            State before = State.of(adam);
            assertThatThrownBy(() -> CompletableFuture.runAsync(adam::step).join())
                .cause()
                .isInstanceOf(WrongThreadException.class)
                .hasMessage("low of p lies in a confined arena of another thread");
            assertThat(State.of(adam)).isEqualTo(before);
          });
    }
  }

  private static Parameter.Builder split(String name, MemorySegment high, MemorySegment low) {
    return Parameter.builder(name, high, ElementType.BFLOAT16).low(low);
  }
}
