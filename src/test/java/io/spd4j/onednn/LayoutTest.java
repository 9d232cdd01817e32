package io.spd4j.onednn;

import static io.spd4j.Refusals.illegalArgument;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Needs no libdnnl. */
class LayoutTest {
  private static final Layout HEADS = Layout.rowMajor(2, 64, 12, 32);

  @Test
  void rowMajor() {
    assertThat(HEADS.rank()).isEqualTo(4);
    assertThat(HEADS.sizes()).containsExactly(2L, 64L, 12L, 32L);
    assertThat(HEADS.strides()).containsExactly(64 * 12 * 32L, 12 * 32L, 32L, 1L);
    assertThat(HEADS.size(1)).isEqualTo(64);
    assertThat(HEADS.numel()).isEqualTo(2 * 64 * 12 * 32);
    assertThat(HEADS).hasToString("2x64x12x32");
    assertThat(Layout.rowMajor(7).strides()).containsExactly(1L);
    assertThat(Layout.rowMajor(1 << 23, 1 << 23).numel()).isEqualTo(1L << 46);
  }

  @Test
  void permute() {
    Layout keys = HEADS.permute(0, 2, 3, 1);
    assertThat(keys.sizes()).containsExactly(2L, 12L, 32L, 64L);
    assertThat(keys.strides()).containsExactly(64 * 12 * 32L, 32L, 1L, 12 * 32L);
    assertThat(keys.numel()).isEqualTo(HEADS.numel());
    assertThat(keys.permute(0, 3, 1, 2)).isEqualTo(HEADS);
    assertThat(HEADS.permute(0, 1, 2, 3)).isEqualTo(HEADS);
  }

  @Test
  void transpose() {
    assertThat(HEADS.transpose()).isEqualTo(HEADS.permute(0, 1, 3, 2));
    assertThat(HEADS.transpose().transpose()).isEqualTo(HEADS);
    assertThat(Layout.rowMajor(2, 3).transpose().strides()).containsExactly(1L, 3L);
    illegalArgument(
        "a layout of one dimension cannot be transposed", () -> Layout.rowMajor(3).transpose());
  }

  @Test
  void aSizeOfOneIsOrderedAsInARowMajorArray() {
    Layout queries = Layout.rowMajor(2, 8, 1, 1).permute(0, 2, 3, 1);
    assertThat(queries.strides()).containsExactly(8L, 1L, 1L, 1L);
    assertThat(queries.orderedStrides()).containsExactly(8L, 8L, 8L, 1L);
    assertThat(queries.transpose().orderedStrides()).containsExactly(8L, 8L, 1L, 1L);
    Layout column = Layout.rowMajor(1, 5).transpose();
    assertThat(column.orderedStrides()).containsExactly(1L, 1L);
    assertThat(column.transpose().orderedStrides()).containsExactly(5L, 1L);
    assertThat(Layout.rowMajor(3, 1, 2).permute(2, 1, 0).orderedStrides())
        .containsExactly(1L, 6L, 2L);
    assertThat(Layout.rowMajor(1, 1, 1).orderedStrides()).containsExactly(1L, 1L, 1L);
    assertThat(HEADS.permute(3, 1, 0, 2).orderedStrides())
        .isEqualTo(HEADS.permute(3, 1, 0, 2).strides());
    assertThat(Layout.rowMajor(4, 1, 1, 7).orderedStrides()).containsExactly(7L, 7L, 7L, 1L);
  }

  @Test
  void isAValue() {
    Layout matrix = Layout.rowMajor(3, 3);
    assertThat(matrix)
        .isEqualTo(Layout.rowMajor(3, 3))
        .hasSameHashCodeAs(Layout.rowMajor(3, 3))
        .isNotEqualTo(matrix.transpose())
        .isNotEqualTo(Layout.rowMajor(1, 3, 3))
        .isNotEqualTo("3x3");
  }

  static Stream<int[]> orders() {
    return Stream.of(
        new int[] {},
        new int[] {0},
        new int[] {0, 0},
        new int[] {0, 2},
        new int[] {-1, 0},
        new int[] {0, 1, 0},
        new int[] {0, 1, 2});
  }

  @ParameterizedTest
  @MethodSource("orders")
  void anOrderNamesEachDimensionOnce(int[] order) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Layout.rowMajor(2, 3).permute(order))
        .withMessageStartingWith("order must name each of the 2 dimensions once, not [");
  }

  static Stream<long[]> sizes() {
    return Stream.of(
        new long[] {},
        new long[7],
        new long[] {2, 0},
        new long[] {-1, 2},
        new long[] {1L << 31},
        new long[] {1L << 23, 1L << 23, 2},
        new long[] {1L << 30, 1L << 30, 1L << 30, 1L << 30});
  }

  @ParameterizedTest
  @MethodSource("sizes")
  void sizesArePositiveAndFew(long[] sizes) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Layout.rowMajor(sizes))
        .withMessageMatching(
            "a layout must have 1 to 6 dimensions, not [07]"
                + "|size of dimension [01] must be 1 to 2147483647, not (0|-1|2147483648)"
                + "|the product of the sizes \\[.*] must be at most 70368744177664");
  }
}
