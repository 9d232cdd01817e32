package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A pass that breaks off within a block does not affect the next pass on its thread. */
class BrokenPassTest {
  /** One block of several tiles, not a multiple of any vector length. */
  private static final int NUMEL = 3001;

  /** Lacks the last element: both kernels step it in plain Java, which checks bounds. */
  private static final int TOO_FEW = NUMEL - 1;

  static Stream<Kernels> java() {
    return Stream.of(new ScalarKernels(), new VectorKernels());
  }

  private static MemorySegment ones(Arena arena, int numel) {
    MemorySegment segment = arena.allocate(4L * numel, 64);
    for (int i = 0; i < numel; i++) {
      segment.setAtIndex(JAVA_FLOAT, i, 1);
    }
    return segment;
  }

  /** Returns a table of one tensor of ones whose gradient has a given number of elements. */
  private static BlockTable table(Arena arena, int gradients) {
    BlockTable table =
        new BlockTable(
            List.of(
                SteppedTensors.float32(
                    0,
                    0,
                    ones(arena, NUMEL),
                    ones(arena, gradients),
                    null,
                    arena.allocate(4 * NUMEL, 64),
                    arena.allocate(4 * NUMEL, 64),
                    null)));
    table.scalars(0).set(new Settings(Rule.SPD, 1, 0.1, 0.9, 0.999, 1e-8, false, false), 1, 1);
    table.scalarsOf(0, 0);
    return table;
  }

  @ParameterizedTest
  @MethodSource("java")
  void theNextUpdateIgnoresItsSums(Kernels kernels) {
    try (Arena arena = Arena.ofConfined();
        BlockTable broken = table(arena, TOO_FEW);
        BlockTable sound = table(arena, NUMEL)) {
      SpdDecisions decisions = new SpdDecisions(sound);
      assertThatThrownBy(() -> kernels.update(broken, 0, 1))
          .isInstanceOf(IndexOutOfBoundsException.class);
      kernels.update(sound, 0, 1);
      decisions.decide(0);
      assertThat(decisions.of(0).condition()).isEqualTo(-NUMEL);
      assertThat(decisions.of(0).deviationBefore()).isEqualTo(Math.sqrt(NUMEL));
    }
  }

  @ParameterizedTest
  @MethodSource("java")
  void theNextNormIgnoresItsSums(Kernels kernels) {
    try (Arena arena = Arena.ofConfined();
        BlockTable broken = table(arena, TOO_FEW);
        BlockTable sound = table(arena, NUMEL);
        PassRunner driver = new PassRunner(kernels, sound, Exchange.NONE, 1, null)) {
      assertThatThrownBy(() -> kernels.gradSq(broken, 0, 1))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThat(driver.gradSq(Schedule.of(sound, 0, 1, 1))).isEqualTo(NUMEL);
    }
  }
}
