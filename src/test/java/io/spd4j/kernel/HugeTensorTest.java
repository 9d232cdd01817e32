package io.spd4j.kernel;

import static io.spd4j.ElementType.BFLOAT16;
import static io.spd4j.ElementType.FLOAT16;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.MomentType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.io.TempDir;

/** Steps the last blocks of a tensor of more than 2^31 elements, in a sparse mapping. */
class HugeTensorTest {
  private static final long NUMEL = (1L << 31) + 3 * BlockTable.BLOCK + 5;
  private static final int LAST = BlockTable.BLOCK + 5;

  @TempDir Path folder;

  @EachKernels
  void lastBlocksAreSteppedAsInASmallTensor(Kernels kernels) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment[] huge = new MemorySegment[6];
      MemorySegment[] small = new MemorySegment[6];
      Random random = new Random(1);
      for (int a = 0; a < huge.length; a++) {
        huge[a] = sparse(arena, "array" + a, NUMEL * 4);
        small[a] = arena.allocate(LAST * 4L, 4);
        for (int i = 0; i < LAST; i++) {
          float value = a < 3 ? random.nextFloat() - 0.5f : random.nextFloat();
          small[a].setAtIndex(JAVA_FLOAT, i, value);
        }
        last(huge[a]).copyFrom(small[a]);
      }
      for (Rule rule : Rule.values()) {
        try (BlockTable hugeTable = table(huge, rule);
            BlockTable smallTable = table(small, rule)) {
          long end = hugeTable.blockCount();
          pass(kernels, hugeTable, end - 2, end);
          pass(kernels, smallTable, 0, 2);
          for (int a = 0; a < huge.length; a++) {
            assertThat(last(huge[a]).toArray(JAVA_INT)).isEqualTo(small[a].toArray(JAVA_INT));
            assertThat(huge[a].getAtIndex(JAVA_INT, NUMEL - LAST - 1)).isZero();
          }
        }
      }
    }
  }

  /** The smallest types, and float16 with bfloat16 moments; random bits depend on the offset. */
  @EachKernels
  void lastBlocksOfOtherTypesAreSteppedAsInAShard(Kernels kernels) throws IOException {
    sameAsAShard(kernels, new Types(BFLOAT16, BFLOAT16, BFLOAT16, MomentType.BLOCKWISE_8BIT), true);
    sameAsAShard(kernels, new Types(FLOAT16, FLOAT16, FLOAT16, MomentType.BFLOAT16), false);
  }

  private void sameAsAShard(Kernels kernels, Types types, boolean split) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment[] huge = new MemorySegment[6]; // parameter, low, gradient, anchor, m, v
      MemorySegment[] shard = new MemorySegment[6];
      Random random = new Random(2);
      for (int a = 0; a < 6; a++) {
        MomentType stored = a < 4 ? MomentType.BFLOAT16 : types.moments(); // 2 bytes an element
        if (a == 1 && !split) {
          continue;
        }
        huge[a] = sparse(arena, types.moments() + " " + a, stored.byteSize(NUMEL));
        shard[a] = arena.allocate(stored.byteSize(LAST), 4);
        for (int i = 0; a < 4 && i < LAST; i++) {
          short value = (short) (0x3c00 + random.nextInt(0x200) - (random.nextInt(2) << 15));
          shard[a].setAtIndex(JAVA_SHORT, i, value);
        }
        if (a < 4) {
          huge[a].asSlice((NUMEL - LAST) * 2).copyFrom(shard[a]);
        }
      }
      for (Rule rule : Rule.values()) {
        try (BlockTable hugeTable = table(tensor(types, huge, 0), rule);
            BlockTable shardTable = table(tensor(types, shard, NUMEL - LAST), rule)) {
          long end = hugeTable.blockCount();
          pass(kernels, hugeTable, end - 2, end);
          pass(kernels, shardTable, 0, 2);
          for (int a = 0; a < 6; a++) {
            if (a >= 4 && types.moments() == MomentType.BLOCKWISE_8BIT) {
              long codes = Codec.scales(NUMEL);
              long scales = codes + (NUMEL - LAST) / Codec.GROUP * 4;
              assertThat(huge[a].asSlice(NUMEL - LAST, LAST).mismatch(shard[a].asSlice(0, LAST)))
                  .isEqualTo(-1);
              MemorySegment own = shard[a].asSlice(Codec.scales(LAST));
              assertThat(huge[a].asSlice(scales).mismatch(own)).isEqualTo(-1);
              assertThat(own.get(JAVA_INT, own.byteSize() - 4)).isNotZero();
            } else if (huge[a] != null) {
              assertThat(huge[a].asSlice((NUMEL - LAST) * 2).mismatch(shard[a])).isEqualTo(-1);
            }
          }
        }
      }
    }
  }

  private static SteppedTensor tensor(Types types, MemorySegment[] a, long offset) {
    return new SteppedTensor(
        0, 0, null, 9, offset, types, a[0], a[1], a[2], a[3], a[4], a[5], null);
  }

  private MemorySegment sparse(Arena arena, String name, long bytes) throws IOException {
    try (FileChannel file =
        FileChannel.open(
            folder.resolve(name),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE,
            StandardOpenOption.SPARSE)) {
      return file.map(MapMode.READ_WRITE, 0, bytes, arena);
    }
  }

  private static MemorySegment last(MemorySegment huge) {
    return huge.asSlice((NUMEL - LAST) * 4);
  }

  private static BlockTable table(MemorySegment[] a, Rule rule) {
    return table(SteppedTensors.float32(0, 0, a[0], a[1], a[2], a[3], a[4], a[5]), rule);
  }

  private static BlockTable table(SteppedTensor tensor, Rule rule) {
    BlockTable table = new BlockTable(List.of(tensor));
    table.scalars(0).set(new Settings(rule, 0.5, 0.01, 0.9, 0.99, 1e-8, false, false), 1, 3);
    table.scalarsOf(0, 0);
    table.shrink(0, 0.25f);
    table.holds(Holds.of(table, 0, 1));
    return table;
  }

  private static void pass(Kernels kernels, BlockTable table, long begin, long end) {
    kernels.gradSq(table, begin, end);
    kernels.update(table, begin, end);
    kernels.project(table, begin, end);
  }
}
