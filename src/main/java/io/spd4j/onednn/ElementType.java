package io.spd4j.onednn;

import io.spd4j.generated.dnnl.dnnl_h;

/** The types that {@link Conversion} converts between. */
public enum ElementType {
  /** IEEE 754 binary32, Java's float. */
  F32(4),
  /** The upper half of binary32; rounded to nearest, ties to even. */
  BF16(2),
  /** IEEE 754 binary16; rounded to nearest, ties to even. */
  F16(2);

  private final int byteSize;

  ElementType(int byteSize) {
    this.byteSize = byteSize;
  }

  /** Bytes of an element. */
  public int byteSize() {
    return byteSize;
  }

  int dnnl() {
    return switch (this) {
      case F32 -> dnnl_h.dnnl_f32();
      case BF16 -> dnnl_h.dnnl_bf16();
      case F16 -> dnnl_h.dnnl_f16();
    };
  }
}
