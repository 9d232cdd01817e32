package io.spd4j;

import java.util.Arrays;
import java.util.Optional;

/**
 * The element types of the safetensors format, except those packed into less than a byte.
 * Parameters, gradients and anchors can be {@link #FLOAT32}, {@link #BFLOAT16} or {@link #FLOAT16}.
 */
public enum ElementType {
  // The ordinals of the types that a step supports are the values of spd4j_type in spd4j.h.
  /** IEEE 754 single precision, Java's float. */
  FLOAT32(4, "F32"),
  /** Brain float: the upper half of a {@link #FLOAT32}. */
  BFLOAT16(2, "BF16"),
  /** IEEE 754 half precision. */
  FLOAT16(2, "F16"),
  /** IEEE 754 double precision, Java's double. */
  FLOAT64(8, "F64"),
  /** 8-bit float: 4 bits of exponent (bias 7), 3 of mantissa; no infinities. */
  FLOAT8_E4M3(1, "F8_E4M3"),
  /** 8-bit float: 5 bits of exponent (bias 15), 2 of mantissa. */
  FLOAT8_E5M2(1, "F8_E5M2"),
  /** {@link #FLOAT8_E4M3} without negative zero; bias 8. */
  FLOAT8_E4M3FNUZ(1, "F8_E4M3FNUZ"),
  /** {@link #FLOAT8_E5M2} without infinities or negative zero; bias 16. */
  FLOAT8_E5M2FNUZ(1, "F8_E5M2FNUZ"),
  /** 8-bit power of two, the scale of OCP microscaling formats. */
  FLOAT8_E8M0(1, "F8_E8M0"),
  /** Complex number: two {@link #FLOAT32}, real and imaginary part. */
  COMPLEX64(8, "C64"),
  /** Signed 8-bit integer. */
  INT8(1, "I8"),
  /** Signed 16-bit integer. */
  INT16(2, "I16"),
  /** Signed 32-bit integer. */
  INT32(4, "I32"),
  /** Signed 64-bit integer. */
  INT64(8, "I64"),
  /** Unsigned 8-bit integer. */
  UINT8(1, "U8"),
  /** Unsigned 16-bit integer. */
  UINT16(2, "U16"),
  /** Unsigned 32-bit integer. */
  UINT32(4, "U32"),
  /** Unsigned 64-bit integer. */
  UINT64(8, "U64"),
  /** One byte, 0 or 1. */
  BOOL(1, "BOOL");

  private final int byteSize;
  private final String safetensorsName;

  ElementType(int byteSize, String safetensorsName) {
    this.byteSize = byteSize;
    this.safetensorsName = safetensorsName;
  }

  /** Returns the size of one element in bytes: 1, 2, 4 or 8. */
  public int byteSize() {
    return byteSize;
  }

  /** Returns whether steps take parameters, gradients and anchors of this type. */
  boolean isStepped() {
    return ordinal() <= FLOAT16.ordinal();
  }

  /** Returns the name that safetensors files use, such as {@code F32}. */
  public String safetensorsName() {
    return safetensorsName;
  }

  /** Finds a type by the name that safetensors files use; empty if none has exactly that name. */
  public static Optional<ElementType> ofSafetensorsName(String name) {
    return Arrays.stream(values()).filter(type -> type.safetensorsName.equals(name)).findFirst();
  }
}
