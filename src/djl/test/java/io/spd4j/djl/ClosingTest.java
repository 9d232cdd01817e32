package io.spd4j.djl;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.spd4j.SelectiveProjectionDecay;
import java.lang.ref.WeakReference;
import org.junit.jupiter.api.Test;

/**
 * Arrays that are closed or moved, and optimizers that are closed. What frees memory must not end
 * the JVM.
 */
class ClosingTest {
  private static SpdOptimizer optimizer() {
    return SpdOptimizer.builder().rule(new SelectiveProjectionDecay(1)).build();
  }

  @Test
  void aClosedWeightIsRefusedAndTheOthersGoOn() {
    try (NDManager manager = NDManager.newBaseManager();
        SpdOptimizer optimizer = optimizer()) {
      NDArray gradient = manager.ones(new Shape(1000, 1000));
      NDArray closed = manager.ones(new Shape(1000, 1000));
      NDArray weight = manager.ones(new Shape(1000, 1000));
      optimizer.update("closed", closed, gradient);
      optimizer.update("w", weight, gradient);
      closed.close();
      for (int i = 0; i < 3; i++) {
        assertThatThrownBy(() -> optimizer.update("closed", closed, gradient))
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("released");
        optimizer.update("w", weight, gradient);
      }
      assertThat(optimizer.spdReport("closed").orElseThrow().step()).isEqualTo(1);
      assertThat(optimizer.spdReport("w").orElseThrow().step()).isEqualTo(4);
    }
  }

  @Test
  void theMemoryOfAClosedWeightIsNotUsedForOthers() {
    try (NDManager manager = NDManager.newBaseManager();
        SpdOptimizer optimizer = optimizer()) {
      NDArray gradient = manager.ones(new Shape(999));
      for (int i = 0; i < 50; i++) {
        // Without the optimizer's hold, the next weight would lie where this one did.
        NDArray weight = manager.ones(new Shape(999));
        optimizer.update("w" + i, weight, gradient);
        weight.close();
      }
      assertThat(optimizer.spdReports()).hasSize(50);
    }
  }

  @Test
  void gradientsMayBeFreedAndTheirMemoryReused() {
    try (NDManager manager = NDManager.newBaseManager();
        SpdOptimizer optimizer = optimizer()) {
      for (int i = 0; i < 50; i++) {
        // The allocator gives the weight the memory of the last gradient.
        NDArray weight = manager.ones(new Shape(999));
        try (NDArray gradient = manager.ones(new Shape(999))) {
          optimizer.update("w" + i, weight, gradient);
        }
      }
      assertThat(optimizer.spdReports()).hasSize(50);
    }
  }

  @Test
  void aWeightThatWasMovedIsRefused() {
    try (NDManager manager = NDManager.newBaseManager();
        SpdOptimizer optimizer = optimizer()) {
      // Its memory belongs to a Java buffer, which can be freed once the weight lies elsewhere.
      NDArray weight = manager.create(new float[] {1, 2, 3});
      NDArray gradient = manager.ones(new Shape(3));
      optimizer.update("w", weight, gradient);
      weight.set(new float[] {4, 5, 6});
      System.gc();
      assertThatThrownBy(() -> optimizer.update("w", weight, gradient))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageStartingWith("the weight of w was moved to other memory");
      assertThat(weight.toFloatArray()).containsExactly(4, 5, 6);
    }
  }

  @Test
  void aClosedManagerAndAClosedGradient() {
    try (SpdOptimizer optimizer = optimizer()) {
      NDManager manager = NDManager.newBaseManager();
      NDArray weight = manager.ones(new Shape(10));
      NDArray gradient = manager.ones(new Shape(10));
      optimizer.update("w", weight, gradient);
      gradient.close();
      assertThatThrownBy(() -> optimizer.update("w", weight, gradient))
          .isInstanceOf(IllegalStateException.class);
      manager.close();
      assertThatThrownBy(() -> optimizer.update("w", weight, gradient))
          .isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void aClosedOptimizerSaysSo() {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray weight = manager.ones(new Shape(10));
      SpdOptimizer optimizer = optimizer();
      optimizer.update("w", weight, weight.duplicate());
      float[] before = weight.toFloatArray();
      optimizer.close();
      optimizer.close();
      assertThatThrownBy(() -> optimizer.update("w", weight, weight.duplicate()))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("the optimizer is closed");
      assertThatThrownBy(optimizer::spdReports).hasMessage("the optimizer is closed");
      assertThat(weight.toFloatArray()).isEqualTo(before);
    }
  }

  @Test
  void anOptimizerThatIsNeverClosedIsCollected() throws InterruptedException {
    try (NDManager manager = NDManager.newBaseManager()) {
      NDArray weight = manager.ones(new Shape(10));
      WeakReference<SpdOptimizer> optimizer = new WeakReference<>(optimizer());
      optimizer.get().update("w", weight, weight.duplicate());
      for (int i = 0; i < 100 && optimizer.get() != null; i++) {
        System.gc();
        Thread.sleep(10);
      }
      assertThat(optimizer.get()).isNull();
    }
  }
}
