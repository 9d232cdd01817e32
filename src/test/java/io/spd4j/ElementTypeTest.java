package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.generated.spd4j.spd4j_h;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class ElementTypeTest {
  /** Each type with its name in the safetensors format and its size in bytes. */
  private static final String TYPES =
      """
      FLOAT32 F32 4, BFLOAT16 BF16 2, FLOAT16 F16 2, FLOAT64 F64 8, FLOAT8_E4M3 F8_E4M3 1, \
      FLOAT8_E5M2 F8_E5M2 1, FLOAT8_E4M3FNUZ F8_E4M3FNUZ 1, FLOAT8_E5M2FNUZ F8_E5M2FNUZ 1, \
      FLOAT8_E8M0 F8_E8M0 1, COMPLEX64 C64 8, INT8 I8 1, INT16 I16 2, INT32 I32 4, INT64 I64 8, \
      UINT8 U8 1, UINT16 U16 2, UINT32 U32 4, UINT64 U64 8, BOOL BOOL 1\
      """;

  @Test
  void namesAndSizesMatchTheFormat() {
    assertThat(Arrays.stream(ElementType.values()))
        .extracting(type -> type + " " + type.safetensorsName() + " " + type.byteSize())
        .containsExactly(TYPES.split(", "));
    assertThat(ElementType.ofSafetensorsName("F32")).contains(ElementType.FLOAT32);
    assertThat(ElementType.ofSafetensorsName("FLOAT32")).isEmpty();
  }

  @Test
  void theOrdinalIsTheNativeCode() {
    assertThat(ElementType.FLOAT32.ordinal()).isEqualTo(spd4j_h.SPD4J_TYPE_FLOAT32());
  }
}
