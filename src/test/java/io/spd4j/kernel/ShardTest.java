package io.spd4j.kernel;

import static io.spd4j.ElementType.BFLOAT16;
import static io.spd4j.ElementType.FLOAT32;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.ElementType;
import io.spd4j.MomentType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

/**
 * Shards of a tensor give the bits of the whole, random ones included, if their block sums are
 * added in order.
 */
class ShardTest {
  private static final int BLOCK = BlockTable.BLOCK;
  private static final int NUMEL = 77 * BLOCK + 1234;
  private static final double LAMBDA = 0.8;

  private static final long[] BOUNDS = {0, 7 * BLOCK, 8 * BLOCK, 50 * BLOCK, NUMEL};

  @EachKernels
  void shardsGiveTheBitsOfTheWhole(Kernels kernels) {
    shardsGiveTheBitsOfTheWhole(kernels, Types.FLOAT32, false);
  }

  @EachKernels
  void shardsInHalvesWith8BitMomentsGiveTheBitsOfTheWhole(Kernels kernels) {
    shardsGiveTheBitsOfTheWhole(
        kernels, new Types(BFLOAT16, BFLOAT16, BFLOAT16, MomentType.BLOCKWISE_8BIT), true);
  }

  @EachKernels
  void shardsThatAreRoundedGiveTheBitsOfTheWhole(Kernels kernels) {
    shardsGiveTheBitsOfTheWhole(
        kernels, new Types(BFLOAT16, FLOAT32, FLOAT32, MomentType.BFLOAT16), false);
  }

  private static void shardsGiveTheBitsOfTheWhole(Kernels kernels, Types types, boolean split) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment[] floats = arrays(arena);
      SteppedTensor whole = stored(arena, types, split, floats, 0, NUMEL);
      List<SteppedTensor> shards = new ArrayList<>();
      for (int s = 0; s + 1 < BOUNDS.length; s++) {
        shards.add(stored(arena, types, split, floats, BOUNDS[s], BOUNDS[s + 1]));
      }
      float shrink = step(kernels, arena, List.of(whole));
      assertThat(shrink).isPositive();
      assertThat(step(kernels, arena, shards)).isEqualTo(shrink);
      for (int s = 0; s + 1 < BOUNDS.length; s++) {
        assertPart(shards.get(s), whole, BOUNDS[s]);
      }
    }
  }

  /** Returns the elements [begin, end) of float32 arrays in other types, as a shard. */
  private static SteppedTensor stored(
      Arena arena, Types types, boolean split, MemorySegment[] floats, long begin, long end) {
    long numel = end - begin;
    MemorySegment[] f =
        Stream.of(floats)
            .map(a -> a.asSlice(begin * Float.BYTES, numel * Float.BYTES))
            .toArray(MemorySegment[]::new);
    MemorySegment low = split ? arena.allocate(2 * numel, 2) : null;
    for (long i = 0; split && i < numel; i++) {
      low.setAtIndex(JAVA_SHORT, i, Codec.low(f[0].getAtIndex(JAVA_FLOAT, i)));
    }
    MemorySegment[] moments = new MemorySegment[2];
    for (int m = 0; m < 2; m++) {
      moments[m] =
          switch (types.moments()) {
            case FLOAT32 -> as(arena, FLOAT32, f[3 + m]);
            case BFLOAT16 -> as(arena, BFLOAT16, f[3 + m]);
            case BLOCKWISE_8BIT -> codes(arena, f[3 + m].toArray(JAVA_FLOAT), m == 1);
          };
    }
    return new SteppedTensor(
        0,
        0,
        null,
        5,
        begin,
        types,
        as(arena, types.param(), f[0]),
        low,
        as(arena, types.grad(), f[1]),
        as(arena, types.anchor(), f[2]),
        moments[0],
        moments[1],
        null);
  }

  /** Returns a copy of float32 values in float32 or rounded to bfloat16. */
  private static MemorySegment as(Arena arena, ElementType type, MemorySegment floats) {
    if (type == FLOAT32) {
      return arena.allocate(floats.byteSize(), 4).copyFrom(floats);
    }
    MemorySegment halves = arena.allocate(floats.byteSize() / 2, 2);
    for (long i = 0; i < floats.byteSize() / 4; i++) {
      halves.setAtIndex(JAVA_SHORT, i, Codec.high(floats.getAtIndex(JAVA_FLOAT, i)));
    }
    return halves;
  }

  private static MemorySegment codes(Arena arena, float[] moment, boolean second) {
    byte[] codes = new byte[moment.length];
    long bytes = MomentType.BLOCKWISE_8BIT.byteSize(moment.length);
    MemorySegment array = arena.allocate(bytes, 4);
    for (int i = 0; i < moment.length; i += Codec.GROUP) {
      int end = Math.min(i + Codec.GROUP, moment.length);
      float scale =
          second ? Codec.toSecond(moment, i, end, 0, codes) : Codec.toFirst(moment, i, end, codes);
      array.set(JAVA_FLOAT, Codec.scales(moment.length) + i / Codec.GROUP * 4L, scale);
    }
    MemorySegment.copy(codes, 0, array, JAVA_BYTE, 0, codes.length);
    return array;
  }

  private static void assertPart(SteppedTensor shard, SteppedTensor whole, long begin) {
    long numel = shard.numel();
    int size = shard.types().param().byteSize();
    assertPart(shard.param(), 0, whole.param(), begin * size, numel * size);
    if (shard.low() != null) {
      assertPart(shard.low(), 0, whole.low(), begin * 2, numel * 2);
    }
    for (boolean second : new boolean[] {false, true}) {
      MemorySegment part = second ? shard.expAvgSq() : shard.expAvg();
      MemorySegment all = second ? whole.expAvgSq() : whole.expAvg();
      if (shard.types().moments() == MomentType.BLOCKWISE_8BIT) {
        long groups = Math.ceilDiv(numel, Codec.GROUP);
        long scales = Codec.scales(whole.numel()) + begin / Codec.GROUP * 4;
        assertPart(part, 0, all, begin, numel);
        assertPart(part, Codec.scales(numel), all, scales, groups * 4);
      } else {
        long bytes = part.byteSize() / numel;
        assertPart(part, 0, all, begin * bytes, numel * bytes);
      }
    }
  }

  private static void assertPart(
      MemorySegment part, long from, MemorySegment whole, long wholeFrom, long bytes) {
    assertThat(part.asSlice(from, bytes).mismatch(whole.asSlice(wholeFrom, bytes))).isEqualTo(-1);
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
