package io.spd4j.djl;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.nio.ByteBuffer;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** On the PyTorch engine a step is in the NDArray's own memory. */
class ZeroCopyTest {
  private static float[] floats(ByteBuffer elements) {
    float[] floats = new float[elements.remaining() / Float.BYTES];
    elements.asFloatBuffer().get(floats);
    return floats;
  }

  @Test
  void aBufferIsTheArraysOwnMemory() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray array = Arrays.random(manager, new SplittableRandom(1), 3, 5);
      ByteBuffer elements = ArrayMemory.elements(array);
      assertThat(ArrayMemory.isOwn(elements, array)).isTrue();
      elements.putFloat(7 * Float.BYTES, 42);
      assertThat(array.getFloat(1, 2)).isEqualTo(42);
      array.addi(1);
      assertThat(elements.getFloat(7 * Float.BYTES)).isEqualTo(43);
    }
  }

  @Test
  void aStepWritesWhereTheArrayLay() {
    try (NDManager manager = NDManager.newBaseManager();
        SpdOptimizer optimizer = SpdOptimizer.builder().build();
        Warnings warnings = new Warnings()) {
      SplittableRandom random = new SplittableRandom(2);
      NDArray weight = Arrays.random(manager, random, 3, 5);
      ByteBuffer elements = weight.toByteBuffer(true); // before the first step
      float[] before = floats(elements);
      optimizer.update("w", weight, Arrays.random(manager, random, 3, 5));
      assertThat(floats(elements)).isNotEqualTo(before).isEqualTo(weight.toFloatArray());
      assertThat(warnings.messages()).isEmpty(); // a copy is warned of
    }
  }
}
