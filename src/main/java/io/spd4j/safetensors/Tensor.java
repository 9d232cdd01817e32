package io.spd4j.safetensors;

import static io.spd4j.safetensors.SafetensorsException.quoted;
import static java.util.Objects.requireNonNull;

import io.spd4j.ElementType;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.zip.CRC32;

/**
 * A named tensor, as in a safetensors file. The record itself is immutable; its data is the
 * caller's segment, not a copy, and has that segment's lifetime and thread confinement.
 *
 * @param name the tensor's name
 * @param dtype the type of its elements
 * @param shape the sizes of its dimensions, each at least 0, at most {@value #MAX_RANK} of them;
 *     empty for a scalar, which has one element; copied
 * @param data its elements, row-major and little-endian, in exactly as many bytes as they take
 */
public record Tensor(String name, ElementType dtype, List<Long> shape, MemorySegment data) {
  /** The largest number of dimensions of a tensor, NumPy's limit. */
  public static final int MAX_RANK = 64;

  /**
   * Checks that the data have the size that the type and the shape require.
   *
   * @throws NullPointerException if an argument or a dimension is null
   * @throws IllegalArgumentException if there are too many dimensions, one is negative, their
   *     product overflows, or the data does not have the size that the type and the shape require
   */
  public Tensor {
    requireNonNull(name, "name");
    requireNonNull(dtype, "dtype");
    requireNonNull(shape, "shape");
    requireNonNull(data, "data");
    for (Long dimension : shape) {
      requireNonNull(dimension, "dimension of shape");
      if (dimension < 0) {
        throw new IllegalArgumentException(
            "tensor " + quoted(name) + ": negative dimension in shape " + shape);
      }
    }
    shape = List.copyOf(shape);
    if (shape.size() > MAX_RANK) {
      throw new IllegalArgumentException(
          "tensor " + quoted(name) + ": " + shape.size() + " dimensions, more than " + MAX_RANK);
    }
    long needed;
    try {
      needed = byteSize(dtype, shape);
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          "tensor " + quoted(name) + ": the size of shape " + shape + " overflows", e);
    }
    if (data.byteSize() != needed) {
      throw new IllegalArgumentException(
          "tensor %s: %s of shape %s takes %d bytes, but data has %d"
              .formatted(quoted(name), dtype.safetensorsName(), shape, needed, data.byteSize()));
    }
  }

  /**
   * Returns the number of elements: the product of the dimensions, 1 for a scalar, 0 if a dimension
   * is 0.
   */
  public long numel() {
    return data.byteSize() / dtype.byteSize();
  }

  /**
   * Returns whether the data are off-heap and start at a multiple of the element's size, so that
   * the aligned layouts can read them, such as {@code ValueLayout.JAVA_FLOAT} for {@link
   * ElementType#FLOAT32}. This holds in files of {@link SafetensorsWriter}. In other files the
   * header can have any length; unaligned data need an unaligned layout or a copy.
   */
  public boolean isAligned() {
    return data.isNative() && data.address() % dtype.byteSize() == 0;
  }

  /** Returns the CRC-32 of the data, as 8 hexadecimal digits. */
  public String crc32() {
    CRC32 crc = new CRC32();
    Checksum.update(crc, data);
    return Checksum.digits(crc);
  }

  /**
   * Returns the size in bytes. Throws ArithmeticException on overflow, even if a later dimension is
   * 0, as the reference implementation does.
   */
  static long byteSize(ElementType dtype, List<Long> shape) {
    long numel = 1;
    for (long dimension : shape) {
      numel = Math.multiplyExact(numel, dimension);
    }
    return Math.multiplyExact(numel, dtype.byteSize());
  }
}
