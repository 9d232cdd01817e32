package io.spd4j.mpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Test;

class SlicesTest {
  private static final long BIG = 1L << 40;

  @Test
  void packedSlicesFollowEachOther() {
    Slices slices = Slices.packed(BIG, 0, BIG + 1, 7);
    assertThat(slices.ranks()).isEqualTo(4);
    assertThat(slices.offset(0)).isZero();
    assertThat(slices.offset(1)).isEqualTo(BIG);
    assertThat(slices.offset(2)).isEqualTo(BIG);
    assertThat(slices.offset(3)).isEqualTo(2 * BIG + 1);
    assertThat(slices.bytes(2)).isEqualTo(BIG + 1);
  }

  @Test
  void laterChangesOfTheArraysDoNotMatter() {
    long[] offsets = {1, 2};
    long[] bytes = {3, 4};
    Slices slices = Slices.of(offsets, bytes);
    offsets[0] = 9;
    bytes[1] = 9;
    assertThat(slices.offset(0)).isEqualTo(1);
    assertThat(slices.bytes(1)).isEqualTo(4);
  }

  @Test
  void badValuesAreRefused() {
    refused(new long[1], new long[2], "there are 1 offsets, but 2 numbers of bytes");
    refused(new long[] {0, -1}, new long[2], "offset of rank 1 is -1");
    refused(new long[2], new long[] {-2, 0}, "bytes of rank 0 are -2");
    refused(new long[] {Long.MAX_VALUE}, new long[] {1}, "offset of rank 0 is " + Long.MAX_VALUE);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Slices.packed(Long.MAX_VALUE, 1, 0))
        .withMessage("offset of rank 1 is " + Long.MAX_VALUE);
  }

  private static void refused(long[] offsets, long[] bytes, String message) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> Slices.of(offsets, bytes))
        .withMessage(message);
  }

  @Test
  void slicesMustFitTheSegmentAndTheRanks() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = arena.allocate(10);
      Slices slices = Slices.of(new long[] {4, 1}, new long[] {6, 2});
      assertThat(slices.of("send", data, 2))
          .isEqualTo(List.of(new Part(0, data.asSlice(4, 6)), new Part(1, data.asSlice(1, 2))));
      assertThatIllegalArgumentException()
          .isThrownBy(() -> slices.of("send", data, 3))
          .withMessage("slices of send are for 2 ranks, but there are 3");
      assertThatIllegalArgumentException()
          .isThrownBy(() -> slices.of("send", data.asSlice(0, 9), 2))
          .withMessage("send has 9 bytes, but the slice of rank 0 is bytes 4 to 10");
    }
  }
}
