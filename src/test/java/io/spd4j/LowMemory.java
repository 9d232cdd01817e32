package io.spd4j;

import static io.spd4j.ElementType.BFLOAT16;
import static io.spd4j.ElementType.FLOAT16;
import static io.spd4j.ElementType.FLOAT32;

import io.spd4j.StepCase.Types;
import java.util.List;

/** Types other than float32, for tests that run with all kinds of them. */
final class LowMemory {
  static final List<Types> TYPES =
      List.of(
          new Types(BFLOAT16, true, FLOAT32, FLOAT32, MomentType.FLOAT32),
          new Types(BFLOAT16, true, BFLOAT16, BFLOAT16, MomentType.BLOCKWISE_8BIT),
          new Types(BFLOAT16, true, FLOAT16, FLOAT32, MomentType.BFLOAT16),
          new Types(BFLOAT16, false, BFLOAT16, BFLOAT16, MomentType.BFLOAT16),
          new Types(BFLOAT16, false, FLOAT32, FLOAT16, MomentType.BLOCKWISE_8BIT),
          new Types(FLOAT16, false, FLOAT16, FLOAT16, MomentType.FLOAT32),
          new Types(FLOAT16, false, BFLOAT16, FLOAT32, MomentType.BFLOAT16),
          new Types(FLOAT32, false, FLOAT32, FLOAT32, MomentType.BLOCKWISE_8BIT),
          new Types(FLOAT32, false, BFLOAT16, FLOAT16, MomentType.BFLOAT16));

  private LowMemory() {}
}
