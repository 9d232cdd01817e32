package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.BlockTable;
import io.spd4j.kernel.Kernels;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Several ranks take the steps of one process, to the bit, announced or not. */
class RanksTest {
  private static final int BLOCK = BlockTable.BLOCK;

  /** With 4 and 8 ranks, several of them are cut. */
  private static final int[] NUMELS = {
    0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 17, 20_000, 0, 20_000, 100_000, 33, 20_000
  };

  /** Bytes that cut arrays into many chunks. */
  private static final long SMALL_CHUNKS = 8 * 1001;

  private static final SelectiveProjectionDecay SPD = new SelectiveProjectionDecay(1);

  @TempDir Path folder;

  private static Kernels fastest() {
    return AllKernels.list().getLast();
  }

  /** Every rule with float32, and SPD and another rule with each of the other types. */
  static List<StepCase> cases() {
    List<StepCase> cases = new ArrayList<>();
    for (int i = 0; i < StepCase.RULES.size(); i++) {
      boolean amsgrad = i % 2 == 1;
      cases.add(new StepCase(StepCase.RULES.get(i), StepCase.Types.FLOAT32, amsgrad, true, null));
    }
    for (int i = 1; i < StepCase.TYPES.size(); i++) {
      StepCase.Types types = StepCase.TYPES.get(i);
      DecayRule other = StepCase.RULES.get(i % StepCase.RULES.size());
      boolean amsgrad = i % 2 == 1 && types.moments() != MomentType.BLOCKWISE_8BIT;
      cases.add(new StepCase(SPD, types, amsgrad, true, null));
      cases.add(new StepCase(other, types, false, i % 3 != 0, null));
    }
    return cases;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void anyNumberOfRanksTakesTheSameSteps(StepCase stepCase) throws IOException {
    assertSameSteps(
        stepCase, NUMELS, fastest(), SMALL_CHUNKS, List.of(new Run(2, false), new Run(4, true)));
  }

  @Test
  void fromOneToEight() throws IOException {
    assertSameSteps(
        float32(new SelectiveProjectionDecay(0.6)), NUMELS, fastest(), 0, runs(1, 2, 4, 8));
  }

  static Stream<Kernels> kernels() {
    return AllKernels.list().stream();
  }

  @ParameterizedTest
  @MethodSource("kernels")
  void onEveryBackend(Kernels kernels) throws IOException {
    assertSameSteps(float32(SPD), NUMELS, kernels, 0, List.of(new Run(4, true)));
  }

  @Test
  void moreRanksThanBlocks() throws IOException {
    StepCase inHalves = new StepCase(SPD, StepCase.TYPES.get(2), false, true, null);
    assertSameSteps(inHalves, new int[] {BLOCK + 5, 0, 3}, fastest(), 0, runs(2, 4, 8));
  }

  /**
   * @param announces whether gradients are announced
   */
  private record Run(int size, boolean announces) {}

  private static List<Run> runs(int... sizes) {
    return IntStream.of(sizes)
        .boxed()
        .flatMap(size -> Stream.of(new Run(size, false), new Run(size, true)))
        .toList();
  }

  private static StepCase float32(DecayRule rule) {
    return new StepCase(rule, StepCase.Types.FLOAT32, false, true, null);
  }

  private static void assertSameSteps(
      StepCase stepCase, int[] numels, Kernels kernels, long chunk, List<Run> runs)
      throws IOException {
    try (RanksTraining whole = new RanksTraining(stepCase, numels, kernels, null, 0, null)) {
      List<Double> norms = whole.train();
      assertThat(norms.get(3)).isNaN();
      if (stepCase.rule() instanceof SelectiveProjectionDecay) {
        assertThat(whole.adam.spdReports())
            .anyMatch(r -> r.selections() > 0 && r.meanRatio() > 0)
            .anyMatch(r -> r.selections() < r.checked());
      }
      for (Run run : runs) {
        ThreadRanks.run(
            run.size,
            ranks -> {
              try (var t =
                  new RanksTraining(stepCase, numels, kernels, ranks, chunk, null, run.announces)) {
                assertThat(t.train()).isEqualTo(norms);
                t.assertSame(whole);
              }
              return null;
            });
      }
    }
  }

  @Test
  void eachRankHasMomentsOfItsShardOnly() throws IOException {
    for (StepCase.Types types : List.of(StepCase.Types.FLOAT32, StepCase.TYPES.get(2))) {
      StepCase stepCase = new StepCase(SPD, types, false, true, null);
      long all;
      try (var whole = new RanksTraining(stepCase, NUMELS, fastest(), null, 0, null)) {
        all = whole.momentBytes();
      }
      for (int size : new int[] {2, 4, 8}) {
        List<Long> bytes =
            ThreadRanks.run(
                size,
                ranks -> {
                  try (var t = new RanksTraining(stepCase, NUMELS, fastest(), ranks, 0, null)) {
                    return t.momentBytes();
                  }
                });
        assertThat(bytes.stream().mapToLong(Long::longValue).sum()).isEqualTo(all);
        long twoBlocks = 4 * types.moments().byteSize(BLOCK);
        assertThat(bytes)
            .allSatisfy(
                b -> assertThat(b).isBetween(all / size - twoBlocks, all / size + twoBlocks));
      }
    }
  }

  /** The file is that of one process, and another number of ranks goes on from it. */
  @Test
  void aCheckpointIsThatOfOneProcess() throws IOException {
    for (int types : new int[] {0, 2, 3, 4}) {
      StepCase stepCase = new StepCase(SPD, StepCase.TYPES.get(types), types == 3, true, null);
      Path one = folder.resolve("one-" + types);
      Path four = folder.resolve("four-" + types);
      try (var whole = new RanksTraining(stepCase, NUMELS, fastest(), null, 0, null)) {
        whole.train();
        whole.save(one);
        ThreadRanks.run(
            4,
            ranks -> {
              try (var t =
                  new RanksTraining(stepCase, NUMELS, fastest(), ranks, SMALL_CHUNKS, null)) {
                t.train();
                t.save(four);
                assertThat(four).exists(); // on every rank, once save has returned
              }
              return null;
            });
        assertThat(Files.mismatch(one, four)).isEqualTo(-1);
        List<Double> norms = whole.train();
        for (int size : new int[] {1, 2, 8}) {
          ThreadRanks.run(
              size,
              ranks -> {
                try (var t = new RanksTraining(stepCase, NUMELS, fastest(), ranks, 0, four)) {
                  assertThat(t.train()).isEqualTo(norms);
                  t.assertSame(whole);
                }
                return null;
              });
        }
      }
    }
  }
}
