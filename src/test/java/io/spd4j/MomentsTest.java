package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Moments that an optimizer allocates are aligned, zero, disjoint, and of their tensor's size. */
class MomentsTest {
  private static final int[] NUMELS = {1, 0, 17, 16, 4097, 3};

  @Test
  void momentsDoNotOverlap() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment brought = arena.allocate(4 * 17, 4);
      List<ParameterGroup> groups = new ArrayList<>();
      for (boolean amsgrad : new boolean[] {false, true}) {
        ParameterGroup.Builder group = ParameterGroup.builder().amsgrad(amsgrad);
        for (int numel : NUMELS) {
          Parameter.Builder p =
              Parameter.builder(amsgrad + " " + numel, arena.allocate(4L * numel, 4));
          if (numel == 17 && !amsgrad) {
            p.moments(brought, arena.allocate(4 * 17, 4)).step(1);
          }
          group.parameter(p.build());
        }
        groups.add(group.build());
      }
      Adam.Builder builder = Adam.builder();
      groups.forEach(builder::group);
      try (Adam adam = builder.build()) {
        List<MemorySegment> moments = new ArrayList<>();
        for (Parameter p : adam.parameters()) {
          for (MemorySegment m : new MemorySegment[] {p.expAvg(), p.expAvgSq(), p.maxExpAvgSq()}) {
            if (m != null) {
              assertThat(m.byteSize()).isEqualTo(p.data().byteSize());
              assertThat(m.toArray(JAVA_FLOAT)).isEqualTo(new float[(int) (m.byteSize() / 4)]);
              moments.add(m);
            }
          }
        }
        assertThat(moments).hasSize(2 * NUMELS.length + 3 * NUMELS.length);
        assertThat(adam.parameters().get(2).expAvg().address()).isEqualTo(brought.address());
        moments.removeIf(m -> m.scope().equals(arena.scope()) || m.byteSize() == 0);
        moments.sort(Comparator.comparingLong(MemorySegment::address));
        long end = 0;
        for (MemorySegment m : moments) {
          assertThat(m.address() % 64).isZero();
          assertThat(m.address()).isGreaterThanOrEqualTo(end);
          end = m.address() + m.byteSize();
        }
      }
    }
  }
}
