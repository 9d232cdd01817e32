package io.spd4j.onednn;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * Where the elements of a multidimensional float32 array lie: the size of each dimension and its
 * stride, the number of elements from one neighbour to the next. Views, such as a transposed one,
 * differ only in their layout, so nothing is copied.
 *
 * <p>Immutable.
 */
public final class Layout {
  /** The largest number of dimensions. */
  public static final int MAX_RANK = 6;

  /** The largest number of elements, 2⁴⁶: as float32 more than a process can address. */
  public static final long MAX_NUMEL = 1L << 46;

  private final List<Long> sizes;
  private final List<Long> strides;

  private Layout(List<Long> sizes, List<Long> strides) {
    this.sizes = List.copyOf(sizes);
    this.strides = List.copyOf(strides);
  }

  /**
   * Returns the layout of elements without gaps, the last dimension's next to each other.
   *
   * @param sizes 1 to {@value #MAX_RANK} sizes, each 1 to 2³¹ − 1
   * @throws IllegalArgumentException if a size is out of range, there are none or too many, or
   *     their product is more than {@link #MAX_NUMEL}
   */
  public static Layout rowMajor(long... sizes) {
    if (sizes.length == 0 || sizes.length > MAX_RANK) {
      throw new IllegalArgumentException(
          "a layout must have 1 to " + MAX_RANK + " dimensions, not " + sizes.length);
    }
    List<Long> strides = new ArrayList<>();
    List<Long> list = new ArrayList<>();
    long stride = 1;
    for (int i = sizes.length - 1; i >= 0; i--) {
      Check.size("size of dimension " + i, sizes[i]);
      list.add(sizes[i]);
      strides.add(stride);
      if (stride > MAX_NUMEL / sizes[i]) {
        throw new IllegalArgumentException(
            "the product of the sizes " + Arrays.toString(sizes) + " must be at most " + MAX_NUMEL);
      }
      stride *= sizes[i];
    }
    Collections.reverse(list);
    Collections.reverse(strides);
    return new Layout(list, strides);
  }

  /**
   * Returns a layout of the same elements with the dimensions in another order: dimension i of the
   * result is dimension order[i] of this one.
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
   * Returns a layout of the same elements with the last two dimensions exchanged.
   *
   * @throws IllegalArgumentException if there is only one dimension
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

  /** Returns the number of dimensions. */
  public int rank() {
    return sizes.size();
  }

  /** Returns the sizes of the dimensions. */
  public List<Long> sizes() {
    return sizes;
  }

  /** Returns the size of a dimension. */
  public long size(int dimension) {
    return sizes.get(dimension);
  }

  /** Returns each dimension's stride: the number of elements from one neighbour to the next. */
  public List<Long> strides() {
    return strides;
  }

  /**
   * Returns the strides, with that of a row-major array where the size is 1 and any would do. From
   * other strides oneDNN takes the dimensions to be in another order, and its bfloat16 products
   * then go wrong.
   */
  List<Long> orderedStrides() {
    long[] ordered = new long[rank()];
    long extent = 1;
    for (int i = rank() - 1; i >= 0; i--) {
      ordered[i] = size(i) == 1 ? extent : strides.get(i);
      extent = Math.max(extent, ordered[i] * size(i));
    }
    return LongStream.of(ordered).boxed().toList();
  }

  /** Returns the number of elements. */
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

  /** Returns the sizes, such as 16x12x64x32. */
  @Override
  public String toString() {
    return String.join("x", sizes.stream().map(Object::toString).toList());
  }
}
