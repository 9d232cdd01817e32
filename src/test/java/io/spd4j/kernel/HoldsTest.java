package io.spd4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.ElementType;
import io.spd4j.MomentType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** For any run of blocks, a native call holds every arena that it reads or writes. */
class HoldsTest {
  /** With low halves and AMSGrad, a tensor has as many arrays as a call can hold. */
  private static final Types TYPES =
      new Types(
          ElementType.BFLOAT16, ElementType.BFLOAT16, ElementType.BFLOAT16, MomentType.BFLOAT16);

  @ParameterizedTest
  @ValueSource(
      strings = {
        "10",
        "10 0",
        "0 10",
        "10 0 10",
        "10 0 0 10",
        "10 10 0 10",
        "10 10 0 0 10 10 10",
        "9000 0 9000 1 1 1"
      })
  void everyArenaOfEveryBlockIsHeld(String sizes) {
    List<SteppedTensor> tensors = new ArrayList<>();
    for (String numel : sizes.split(" ")) {
      MemorySegment[] a = new MemorySegment[7];
      for (int i = 0; i < a.length; i++) {
        a[i] = Arena.ofAuto().allocate(2 * Long.parseLong(numel), 2);
      }
      tensors.add(
          new SteppedTensor(0, 0, null, 0, 0, TYPES, a[0], a[1], a[2], a[3], a[4], a[5], a[6]));
    }
    try (BlockTable table = new BlockTable(tensors)) {
      for (int t = 0; t < tensors.size(); t++) {
        table.scalarsOf(t, t);
      }
      Holds holds = Holds.of(table, 0, tensors.size());
      for (long begin = 0; begin < table.blockCount(); begin++) {
        for (long end = begin + 1; end <= table.blockCount(); end++) {
          forward(table, holds, begin, end);
          backward(table, holds, begin, end);
        }
      }
    }
  }

  /** Goes through the spans of a run as HeldKernels does. */
  private static void forward(BlockTable table, Holds holds, long begin, long end) {
    for (int span = holds.spanOf(begin); begin < end; span++) {
      long spanEnd = Math.min(end, holds.end(span));
      check(table, holds.segments(span), begin, spanEnd);
      begin = spanEnd;
    }
  }

  private static void backward(BlockTable table, Holds holds, long begin, long end) {
    for (int span = holds.spanOf(end - 1); begin < end; span--) {
      long spanBegin = Math.max(begin, holds.begin(span));
      check(table, holds.segments(span), spanBegin, end);
      end = spanBegin;
    }
  }

  private static void check(BlockTable table, MemorySegment[] held, long begin, long end) {
    List<MemorySegment.Scope> scopes = new ArrayList<>();
    for (MemorySegment segment : held) {
      scopes.add(segment.scope());
    }
    for (long block = begin; block < end; block++) {
      for (MemorySegment array : table.tensor(table.tensorOf(block)).arrays()) {
        assertThat(scopes)
            .as("block %d of run [%d, %d)", block, begin, end)
            .contains(array.scope());
      }
    }
  }
}
