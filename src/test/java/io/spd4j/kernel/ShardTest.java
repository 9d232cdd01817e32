package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

/** Shards of a tensor give the bits of the whole if their block sums are added in order. */
class ShardTest {
  private static final int BLOCK = BlockTable.BLOCK;
  private static final int NUMEL = 77 * BLOCK + 1234;
  private static final double LAMBDA = 0.8;

  @EachKernels
  void shardsGiveTheBitsOfTheWhole(Kernels kernels) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment[] whole = arrays(arena);
      MemorySegment[] cut = arrays(arena);
      float shrink = step(kernels, arena, List.of(tensor(whole)));
      assertThat(shrink).isPositive();
      List<SteppedTensor> shards = new ArrayList<>();
      long[] bounds = {0, 7 * BLOCK, 8 * BLOCK, 50 * BLOCK, NUMEL};
      for (int s = 0; s + 1 < bounds.length; s++) {
        long begin = bounds[s] * 4;
        long bytes = bounds[s + 1] * 4 - begin;
        shards.add(
            tensor(Stream.of(cut).map(a -> a.asSlice(begin, bytes)).toArray(MemorySegment[]::new)));
      }
      assertThat(step(kernels, arena, shards)).isEqualTo(shrink);
      assertSame(cut, whole);
    }
  }

  /** If the kernels decide, the update projects as well and leaves nothing to project. */
  @EachKernels
  void aTensorInsideARunIsProjectedOnce(Kernels kernels) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment[] decided = arrays(arena);
      MemorySegment[] whole = arrays(arena);
      float shrink = step(kernels, arena, List.of(tensor(whole)));
      try (BlockTable table = table(tensor(decided))) {
        SpdDecisions decisions = new SpdDecisions(table);
        table.decisions(decisions);
        kernels.update(table, 0, table.blockCount());
        kernels.project(table, 0, table.blockCount());
        assertThat(decisions.of(0).shrink()).isEqualTo(shrink);
        assertThat(decisions.of(0).checked()).isEqualTo(1);
      }
      assertSame(decided, whole);
    }
  }

  private static SteppedTensor tensor(MemorySegment[] a) {
    return SteppedTensors.float32(0, 0, a[0], a[1], a[2], a[3], a[4], null);
  }

  private static BlockTable table(SteppedTensor tensor) {
    BlockTable table = new BlockTable(List.of(tensor));
    Settings spd = new Settings(Rule.SPD, LAMBDA, 0.01, 0.9, 0.99, 1e-8, false, false);
    table.scalars(0).set(spd, 1, 1);
    table.scalarsOf(0, 0);
    table.holds(Holds.of(table, 0, 1));
    return table;
  }

  private static void assertSame(MemorySegment[] arrays, MemorySegment[] expected) {
    for (int a = 0; a < arrays.length; a++) {
      assertThat(arrays[a].toArray(JAVA_INT)).isEqualTo(expected[a].toArray(JAVA_INT));
    }
  }

  /** Steps a tensor whose shards have a table each, as on several machines; returns λ·r. */
  private static float step(Kernels kernels, Arena arena, List<SteppedTensor> shards) {
    List<BlockTable> tables = shards.stream().map(ShardTest::table).toList();
    long blocks = tables.stream().mapToLong(BlockTable::blockCount).sum();
    MemorySegment sums = arena.allocate(blocks * TableLayout.SUMS.byteSize(), 8);
    long at = 0;
    for (BlockTable table : tables) {
      kernels.update(table, 0, table.blockCount());
      long bytes = table.blockCount() * TableLayout.SUMS.byteSize();
      MemorySegment.copy(table.sums(), 0, sums, at, bytes);
      at += bytes;
    }
    assertThat(-TensorSum.of(sums, 0, blocks, TableLayout.GRAD_DOT)).isNegative();
    float shrink =
        SpdDecision.shrink(
            LAMBDA,
            SpdDecision.ratio(
                TensorSum.of(sums, 0, blocks, TableLayout.DEV_SQ),
                TensorSum.of(sums, 0, blocks, TableLayout.NEW_DEV_SQ)));
    for (BlockTable table : tables) {
      table.shrink(0, shrink);
      kernels.project(table, 0, table.blockCount());
      table.close();
    }
    return shrink;
  }

  /**
   * Returns parameter, gradient, anchor and moments of a tensor that moves away and is selected.
   */
  private static MemorySegment[] arrays(Arena arena) {
    Random random = new Random(4);
    MemorySegment[] arrays = new MemorySegment[5];
    for (int a = 0; a < arrays.length; a++) {
      arrays[a] = arena.allocate(NUMEL * 4L, 4);
    }
    for (int i = 0; i < NUMEL; i++) {
      float deviation = random.nextFloat() - 0.5f;
      float anchor = random.nextFloat() - 0.5f;
      arrays[0].setAtIndex(JAVA_FLOAT, i, anchor + deviation);
      arrays[1].setAtIndex(JAVA_FLOAT, i, 0.1f * deviation + 0.01f * random.nextFloat());
      arrays[2].setAtIndex(JAVA_FLOAT, i, anchor);
      arrays[3].setAtIndex(JAVA_FLOAT, i, -deviation);
      arrays[4].setAtIndex(JAVA_FLOAT, i, 0.1f);
    }
    return arrays;
  }
}
