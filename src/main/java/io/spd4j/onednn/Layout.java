package io.spd4j.onednn;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Where the elements of a float32 array with several dimensions lie: the sizes of the dimensions
 * and, for each, how many elements apart its neighbours are. Views such as a transposed one differ
 * in nothing else, so nothing is copied.
 *
 * <p>Immutable.
 */
public final class Layout {
  /** The most dimensions. */
  public static final int MAX_RANK = 6;

  private final List<Long> sizes;
  private final List<Long> strides;

  private Layout(List<Long> sizes, List<Long> strides) {
    this.sizes = List.copyOf(sizes);
    this.strides = List.copyOf(strides);
  }

  /**
   * Elements one after the other, the last dimension's closest together.
   *
   * @param sizes 1 to 2³¹ − 1 each, at most {@value #MAX_RANK} of them
   * @throws IllegalArgumentException if a size is out of range, there are none or too many, or
   *     their product overflows
   */
  public static Layout rowMajor(long... sizes) {
    if (sizes.length == 0 || sizes.length > MAX_RANK) {
      throw new IllegalArgumentException(
          sizes.length + " dimensions, there must be 1 to " + MAX_RANK);
    }
    List<Long> strides = new ArrayList<>();
    List<Long> list = new ArrayList<>();
    long stride = 1;
    for (int i = sizes.length - 1; i >= 0; i--) {
      Check.size("size of dimension " + i, sizes[i]);
      list.add(sizes[i]);
      strides.add(stride);
      try {
        stride = Math.multiplyExact(stride, sizes[i]);
        Math.multiplyExact(stride, Float.BYTES);
      } catch (ArithmeticException e) {
        throw new IllegalArgumentException(
            "the product of the sizes " + Arrays.toString(sizes) + " overflows", e);
      }
    }
    Collections.reverse(list);
    Collections.reverse(strides);
    return new Layout(list, strides);
  }

  /**
   * The same elements with the dimensions in another order: dimension i of the result is dimension
   * order[i] of this one.
   *
   * @throws IllegalArgumentException if order does not name each dimension once
   */
  public Layout permute(int... order) {
    if (!Arrays.equals(
        IntStream.of(order).sorted().toArray(), IntStream.range(0, rank()).toArray())) {
      throw new IllegalArgumentException(
          "order must name each of the "
              + rank()
              + " dimensions once, not "
              + Arrays.toString(order));
    }
    return new Layout(
        IntStream.of(order).mapToObj(sizes::get).toList(),
        IntStream.of(order).mapToObj(strides::get).toList());
  }

  /**
   * The same elements with the last two dimensions exchanged.
   *
   * @throws IllegalArgumentException if there is but one
   */
  public Layout transpose() {
    int rank = rank();
    if (rank < 2) {
      throw new IllegalArgumentException("a layout of one dimension cannot be transposed");
    }
    int[] order = new int[rank];
    for (int i = 0; i < rank; i++) {
      order[i] = i;
    }
    order[rank - 2] = rank - 1;
    order[rank - 1] = rank - 2;
    return permute(order);
  }

  /** How many dimensions there are. */
  public int rank() {
    return sizes.size();
  }

  /** The sizes of the dimensions. */
  public List<Long> sizes() {
    return sizes;
  }

  /** A dimension's size. */
  public long size(int dimension) {
    return sizes.get(dimension);
  }

  /** Elements from one to the next in each dimension. */
  public List<Long> strides() {
    return strides;
  }

  /** The number of elements. */
  public long numel() {
    return sizes.stream().reduce(1L, (a, b) -> a * b);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Layout that && sizes.equals(that.sizes) && strides.equals(that.strides);
  }

  @Override
  public int hashCode() {
    return 31 * sizes.hashCode() + strides.hashCode();
  }

  /** The sizes, as in 16x12x64x32. */
  @Override
  public String toString() {
    return String.join("x", sizes.stream().map(Object::toString).toList());
  }
}
