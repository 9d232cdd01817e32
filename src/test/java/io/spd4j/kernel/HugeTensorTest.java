package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

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
        huge[a] = sparse(arena, "array" + a);
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

  private MemorySegment sparse(Arena arena, String name) throws IOException {
    try (FileChannel file =
        FileChannel.open(
            folder.resolve(name),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE,
            StandardOpenOption.SPARSE)) {
      return file.map(MapMode.READ_WRITE, 0, NUMEL * 4, arena);
    }
  }

  private static MemorySegment last(MemorySegment huge) {
    return huge.asSlice((NUMEL - LAST) * 4);
  }

  private static BlockTable table(MemorySegment[] a, Rule rule) {
    BlockTable table =
        new BlockTable(List.of(SteppedTensors.float32(0, 0, a[0], a[1], a[2], a[3], a[4], a[5])));
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
