package io.spd4j.safetensors;

import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.nullPointer;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.spd4j.ElementType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

class TensorTest {
  private final MemorySegment bytes24 = Arena.ofAuto().allocate(24, 8);

  @Test
  void numelIsTheProductOfTheDimensions() {
    assertThat(new Tensor("a", ElementType.FLOAT32, List.of(2L, 3L), bytes24).numel()).isEqualTo(6);
    assertThat(new Tensor("a", ElementType.FLOAT64, List.of(), bytes24.asSlice(0, 8)).numel())
        .isEqualTo(1);
    assertThat(new Tensor("a", ElementType.UINT8, List.of(5L, 0L), bytes24.asSlice(0, 0)).numel())
        .isZero();
  }

  @Test
  void shapeIsCopiedAndCannotBeChanged() {
    List<Long> shape = new ArrayList<>(List.of(2L, 3L));
    Tensor tensor = new Tensor("a", ElementType.FLOAT32, shape, bytes24);
    shape.set(0, 7L);
    assertThat(tensor.shape()).containsExactly(2L, 3L).isUnmodifiable();
  }

  @Test
  void dataMustHaveTheSizeOfTheShape() {
    illegalArgument(
        "tensor 'a.b': F32 of shape [2, 2] takes 16 bytes, but data has 24",
        () -> new Tensor("a.b", ElementType.FLOAT32, List.of(2L, 2L), bytes24));
  }

  @Test
  void dimensionsMustBePossible() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Tensor("a", ElementType.FLOAT32, List.of(-2L, -3L), bytes24))
        .withMessageContaining("negative");
    for (List<Long> shape :
        List.of(List.of(1L << 40, 1L << 40), List.of(1L << 61, 2L), List.of(1L << 61))) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> new Tensor("a", ElementType.FLOAT32, shape, bytes24))
          .withMessageContaining("overflows");
    }
    assertThatIllegalArgumentException()
        .isThrownBy(() ->
            new Tensor("a", ElementType.UINT8, Collections.nCopies(65, 1L), bytes24.asSlice(0, 1)))
        .withMessageContaining("65 dimensions");
    assertThat(
            new Tensor("a", ElementType.UINT8, Collections.nCopies(64, 1L), bytes24.asSlice(0, 1))
                .numel())
        .isEqualTo(1);
  }

  @Test
  void nullIsNamed() {
    nullPointer("name", () -> new Tensor(null, ElementType.UINT8, List.of(24L), bytes24));
    nullPointer("dtype", () -> new Tensor("a", null, List.of(24L), bytes24));
    nullPointer("shape", () -> new Tensor("a", ElementType.UINT8, null, bytes24));
    nullPointer(
        "dimension of shape",
        () -> new Tensor("a", ElementType.UINT8, Arrays.asList(24L, null), bytes24));
    nullPointer("data", () -> new Tensor("a", ElementType.UINT8, List.of(24L), null));
  }

  @Test
  void alignedMeansOffHeapAndAtAMultipleOfTheElement() {
    assertThat(
            new Tensor("a", ElementType.FLOAT64, List.of(2L), bytes24.asSlice(8, 16)).isAligned())
        .isTrue();
    assertThat(
            new Tensor("a", ElementType.FLOAT64, List.of(2L), bytes24.asSlice(4, 16)).isAligned())
        .isFalse();
    assertThat(
            new Tensor("a", ElementType.FLOAT32, List.of(4L), bytes24.asSlice(4, 16)).isAligned())
        .isTrue();
    MemorySegment heap = MemorySegment.ofArray(new float[4]);
    assertThat(new Tensor("a", ElementType.FLOAT32, List.of(4L), heap).isAligned()).isFalse();
  }
}
