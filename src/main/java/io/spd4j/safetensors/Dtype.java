package io.spd4j.safetensors;

/**
 * The element types of the safetensors format, under the names that they have in a file.
 *
 * <p>These are all types of the format whose elements are whole bytes. The packed ones ({@code F4},
 * {@code F6_E2M3}, {@code F6_E3M2}) are refused by name when a file has them.
 */
public enum Dtype {
  /** One byte, 0 or 1. */
  BOOL(1),
  /** Unsigned 8-bit integer. */
  U8(1),
  /** Signed 8-bit integer. */
  I8(1),
  /** 8-bit float: 5 bits of exponent, 2 of mantissa. */
  F8_E5M2(1),
  /** 8-bit float: 4 bits of exponent, 3 of mantissa. */
  F8_E4M3(1),
  /** 8-bit power of two, the scale of OCP microscaling formats. */
  F8_E8M0(1),
  /** {@link #F8_E4M3} without infinities and negative zero. */
  F8_E4M3FNUZ(1),
  /** {@link #F8_E5M2} without infinities and negative zero. */
  F8_E5M2FNUZ(1),
  /** Signed 16-bit integer. */
  I16(2),
  /** Unsigned 16-bit integer. */
  U16(2),
  /** IEEE 754 half precision. */
  F16(2),
  /** Brain float: the upper half of an {@link #F32}. */
  BF16(2),
  /** Signed 32-bit integer. */
  I32(4),
  /** Unsigned 32-bit integer. */
  U32(4),
  /** IEEE 754 single precision. */
  F32(4),
  /** Complex number: two {@link #F32}, real and imaginary part. */
  C64(8),
  /** IEEE 754 double precision. */
  F64(8),
  /** Signed 64-bit integer. */
  I64(8),
  /** Unsigned 64-bit integer. */
  U64(8);

  private final int byteSize;

  Dtype(int byteSize) {
    this.byteSize = byteSize;
  }

  /** The size of one element in bytes: 1, 2, 4 or 8. */
  public int byteSize() {
    return byteSize;
  }
}
