package io.spd4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A schedule covers all blocks once, in runs of about equal length. */
class ScheduleTest {
  private static final int BLOCK = BlockTable.BLOCK;

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 7})
  void runsCoverTheBlocksAndSharedTensorsAreTheCutOnes(int threads) {
    Random random = new Random(threads);
    for (int trial = 0; trial < 200; trial++) {
      try (Arena arena = Arena.ofShared()) {
        List<SteppedTensor> tensors = new ArrayList<>();
        for (int t = random.nextInt(30); t >= 0; t--) {
          int numel =
              switch (random.nextInt(4)) {
                case 0 -> 0;
                case 1 -> 1 + random.nextInt(100);
                case 2 -> random.nextInt(20 * BLOCK);
                default -> random.nextInt(150 * BLOCK);
              };
          tensors.add(arrays(arena, numel));
        }
        try (BlockTable table = new BlockTable(tensors)) {
          for (int t = 0; t < tensors.size(); t++) {
            table.scalarsOf(t, random.nextInt(5) == 0 ? -1 : 0);
          }
          int first = random.nextInt(tensors.size());
          int end = first + 1 + random.nextInt(tensors.size() - first);
          check(table, first, end, threads);
        }
      }
    }
  }

  private static SteppedTensor arrays(Arena arena, long numel) {
    MemorySegment array = arena.allocate(4 * numel, 4);
    return SteppedTensors.float32(0, 0, array, array, null, array, array, null);
  }

  private static void check(BlockTable table, int first, int end, int threads) {
    Schedule schedule = Schedule.of(table, first, end, threads);
    long[] bounds = bounds(schedule);
    assertThat(schedule.first()).isEqualTo(first);
    assertThat(schedule.end()).isEqualTo(end);
    assertThat(schedule.runs()).isBetween(1, threads);
    assertThat(bounds).isSorted();
    assertThat(bounds[0]).isEqualTo(table.firstBlock(first));
    assertThat(bounds[schedule.runs()]).isEqualTo(table.firstBlock(end));
    int[] shared =
        IntStream.range(first, end)
            .filter(t -> table.scalarsOf(t) >= 0)
            .filter(t -> table.tensor(t).numel() == 0 || cut(table, t, bounds))
            .toArray();
    assertThat(schedule.shared()).isEqualTo(shared);
    balanced(table, bounds);
  }

  private static long[] bounds(Schedule schedule) {
    return IntStream.rangeClosed(0, schedule.runs()).mapToLong(schedule::bound).toArray();
  }

  private static boolean cut(BlockTable table, int tensor, long[] bounds) {
    return Arrays.stream(bounds)
        .anyMatch(b -> b > table.firstBlock(tensor) && b < table.firstBlock(tensor + 1));
  }

  /** Checks that no run exceeds its share by more than two blocks and the tolerance. */
  private static void balanced(BlockTable table, long[] bounds) {
    long[] numels = new long[bounds.length - 1];
    for (int run = 0; run < numels.length; run++) {
      for (long b = bounds[run]; b < bounds[run + 1]; b++) {
        numels[run] +=
            table.scalarsOf(table.tensorOf(b)) < 0 ? 0 : table.length(table.tensorOf(b), b);
      }
    }
    long share = Arrays.stream(numels).sum() / numels.length;
    for (long numel : numels) {
      assertThat(numel).isLessThanOrEqualTo(share + 2 * BLOCK + 2 * share / 64);
    }
  }

  /** Tensors of nearly equal size get a run each, so that SPD waits for no other thread. */
  @ParameterizedTest
  @ValueSource(ints = {-3, -1, 0, 1, 3})
  void aRunEndsBetweenTensorsIfThatIsNear(int blocks) {
    try (Arena arena = Arena.ofShared();
        BlockTable table =
            new BlockTable(
                List.of(
                    arrays(arena, (100 + blocks) * BLOCK),
                    arrays(arena, (100 - blocks) * BLOCK)))) {
      table.scalarsOf(0, 0);
      table.scalarsOf(1, 0);
      Schedule schedule = Schedule.of(table, 0, 2, 2);
      if (Math.abs(blocks) <= 1) {
        assertThat(bounds(schedule)).containsExactly(0, 100 + blocks, 200);
        assertThat(schedule.shared()).isEmpty();
      } else {
        assertThat(bounds(schedule)).containsExactly(0, 100, 200);
        assertThat(schedule.shared()).containsExactly(blocks > 0 ? 0 : 1);
      }
    }
  }
}
