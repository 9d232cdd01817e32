package io.spd4j.torture;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

@EnabledOnOs(OS.LINUX)
class GuardedArenaTest {
  private static final long[] SIZES = {0, 4, 64, 4092, 4096, 4100, 100_000};

  /** Returns what /proc says may be done with the byte at an address; empty if it is not mapped. */
  private static String access(long address) throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
      String[] parts = line.split(" ");
      String[] range = parts[0].split("-");
      if (Long.parseUnsignedLong(range[0], 16) <= address
          && address < Long.parseUnsignedLong(range[1], 16)) {
        return parts[1].substring(0, 3).replace("-", "");
      }
    }
    return "";
  }

  @Test
  void theByteBehindCannotBeAccessed() throws Exception {
    try (GuardedArena arena = new GuardedArena(GuardedArena.Guard.AFTER)) {
      for (long size : SIZES) {
        MemorySegment s = arena.allocate(size, 4);
        assertThat(s.byteSize()).isEqualTo(size);
        assertThat(access(s.address() + size)).isEmpty();
        s.fill((byte) 1);
      }
    }
  }

  @Test
  void theByteBeforeCannotBeAccessed() throws Exception {
    try (GuardedArena arena = new GuardedArena(GuardedArena.Guard.BEFORE)) {
      for (long size : SIZES) {
        MemorySegment s = arena.allocate(size, 4096);
        assertThat(access(s.address() - 1)).isEmpty();
        s.fill((byte) 1);
      }
    }
  }

  @Test
  void alignedSegmentsMayLeaveAGap() {
    try (GuardedArena arena = new GuardedArena(GuardedArena.Guard.AFTER)) {
      assertThat(arena.allocate(100, 64).address() % 4096).isEqualTo(4096 - 128);
      assertThat(arena.allocate(100, 4).address() % 4096).isEqualTo(4096 - 100);
      assertThatIllegalArgumentException().isThrownBy(() -> arena.allocate(1, 3));
    }
  }

  @Test
  void isClosedLikeAnyOther() throws Exception {
    GuardedArena arena = new GuardedArena(GuardedArena.Guard.AFTER);
    MemorySegment s = arena.allocate(ValueLayout.JAVA_FLOAT);
    assertThat(access(s.address())).isEqualTo("rw");
    arena.close();
    assertThat(s.scope().isAlive()).isFalse();
    assertThatIllegalStateException().isThrownBy(() -> arena.allocate(4, 4));
  }
}
