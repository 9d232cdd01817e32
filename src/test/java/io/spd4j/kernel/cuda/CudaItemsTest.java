package io.spd4j.kernel.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.BlockTable;
import io.spd4j.kernel.SteppedTensor;
import io.spd4j.kernel.SteppedTensors;
import io.spd4j.kernel.cuda.CudaItems.Item;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The order of a device's work items. */
class CudaItemsTest {
  private static final int MOST = 8;

  /** Returns a table of tensors with so many blocks each; no array is ever read. */
  private static BlockTable table(Arena arena, int... blocks) {
    List<SteppedTensor> tensors = new ArrayList<>();
    for (int n : blocks) {
      MemorySegment array =
          MemorySegment.ofAddress(64)
              .reinterpret(Math.max(0, 4L * (n * (long) BlockTable.BLOCK - 5)), arena, null);
      tensors.add(SteppedTensors.float32(0, 0, array, array, null, array, array, null));
    }
    return new BlockTable(tensors);
  }

  private static List<Item> items(boolean[] spd, long lag, int... blocks) {
    try (Arena arena = Arena.ofConfined();
        BlockTable table = table(arena, blocks)) {
      List<Item> items = new ArrayList<>();
      CudaItems.add(items, table, 0, blocks.length, t -> spd[t], lag);
      return items;
    }
  }

  /** Returns items as text: an update as its block, a projection as (first block-last block). */
  private static String order(boolean[] spd, long lag, int... blocks) {
    return items(spd, lag, blocks).stream()
        .map(i ->
            i.project()
                ? "(%d-%d)".formatted(i.block(), i.block() - i.count() + 1)
                : "" + i.block())
        .collect(Collectors.joining(" "));
  }

  @Test
  void withoutSpdThereAreOnlyUpdates() {
    assertThat(order(new boolean[3], 2, 2, 0, 1)).isEqualTo("0 1 2");
  }

  @Test
  void aTensorIsProjectedBackwardsSomeWayAfterItsUpdates() {
    assertThat(order(new boolean[] {true, false}, 3, 9, 5))
        .isEqualTo("0 1 2 3 4 5 6 7 8 9 10 11 (8-1) (0-0) 12 13");
  }

  @Test
  void smallTensorsAreProjectedTogether() {
    assertThat(order(new boolean[] {true, true, true, false, true}, 0, 1, 2, 1, 1, 1))
        .isEqualTo("0 1 2 3 4 (3-0) 5 (5-5)");
  }

  @Test
  void everyBlockIsUpdatedOnceAndThenProjectedOnceAfterAllUpdatesOfItsTensor() {
    Random random = new Random(41);
    for (int round = 0; round < 300; round++) {
      int[] blocks = random.ints(1 + random.nextInt(30), 0, 1 + random.nextInt(40)).toArray();
      boolean[] spd = new boolean[blocks.length];
      for (int t = 0; t < spd.length; t++) {
        spd[t] = random.nextInt(4) != 0;
      }
      long lag = random.nextInt(60);
      check(items(spd, lag, blocks), spd, lag, blocks);
    }
  }

  private static void check(List<Item> items, boolean[] spd, long lag, int... blocks) {
    List<Integer> tensorOf = new ArrayList<>();
    for (int t = 0; t < blocks.length; t++) {
      for (int b = 0; b < blocks[t]; b++) {
        tensorOf.add(t);
      }
    }
    int total = tensorOf.size();
    int[] lastUpdate = new int[blocks.length];
    boolean[] projected = new boolean[total];
    int updates = 0;
    for (Item item : items) {
      if (!item.project()) {
        assertThat(item.block()).isEqualTo(updates);
        assertThat(item.count()).isEqualTo(1);
        lastUpdate[tensorOf.get(updates)] = ++updates;
        continue;
      }
      assertThat(item.count()).isBetween(1, MOST);
      for (int i = 0; i < item.count(); i++) {
        int block = (int) item.block() - i;
        int tensor = tensorOf.get(block);
        assertThat(projected[block]).as("block %d is projected twice", block).isFalse();
        projected[block] = true;
        assertThat(spd[tensor]).isTrue();
        assertThat(block == total - 1 || tensorOf.get(block + 1) != tensor || projected[block + 1])
            .as("block %d is projected before the next", block)
            .isTrue();
        int end = block + 1;
        while (end < total && tensorOf.get(end) == tensor) {
          end++;
        }
        assertThat(updates).as("updates before a projection").isGreaterThanOrEqualTo(end);
        assertThat(updates == total || updates - lastUpdate[tensor] >= lag)
            .as("%d updates, the last of the tensor is %d", updates, lastUpdate[tensor])
            .isTrue();
      }
    }
    assertThat(updates).isEqualTo(total);
    for (int block = 0; block < total; block++) {
      assertThat(projected[block]).isEqualTo(spd[tensorOf.get(block)]);
    }
  }
}
