package io.spd4j;

import static io.spd4j.ElementType.BFLOAT16;
import static io.spd4j.Refusals.illegalArgument;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

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

  /** Returns memory that is not there; nothing may touch it. */
  @SuppressWarnings("restricted")
  private static MemorySegment virtual(long bytes) {
    return MemorySegment.ofAddress(1 << 20).reinterpret(bytes);
  }

  static List<Parameter> enormous() {
    return List.of(
        Parameter.builder("2^61", virtual(1L << 61)).build(), // two moments still have a size
        Parameter.builder("2^62", virtual(1L << 62)).build(),
        Parameter.builder("2^63", virtual(Long.MAX_VALUE - 3)).build(),
        Parameter.builder("bfloat16", virtual(1L << 62), BFLOAT16).build(),
        Parameter.builder("8 bits", virtual(Long.MAX_VALUE - 1), BFLOAT16)
            .momentType(MomentType.BLOCKWISE_8BIT)
            .build());
  }

  @ParameterizedTest
  @MethodSource("enormous")
  void momentsBeyondAllMemory(Parameter p) {
    assertThatExceptionOfType(OutOfMemoryError.class)
        .isThrownBy(() -> Adam.builder().group(0.1, new L2SP(0), List.of(p)).build());
    assertThat(p.owner()).isNull();
    ParameterGroup group = ParameterGroup.builder().build();
    try (Adam adam = Adam.builder().group(group).build()) {
      assertThatExceptionOfType(OutOfMemoryError.class)
          .isThrownBy(() -> adam.addParameter(group, p));
      assertThat(adam.parameters()).isEmpty();
      assertThat(p.owner()).isNull();
    }
    assertThatExceptionOfType(OutOfMemoryError.class)
        .isThrownBy(() -> GradientTree.of(List.of(p), 4));
  }

  @Test
  void momentsThatAreBeyondAllMemoryOnlyTogether() {
    long most = (1L << 60) - 4;
    List<Parameter> many = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      MemorySegment part = virtual(8 * most).asSlice(i * most, most);
      many.add(Parameter.builder("p" + i, part).build());
    }
    assertThatExceptionOfType(OutOfMemoryError.class)
        .isThrownBy(() -> Adam.builder().group(0.1, new L2SP(0), many).build());
  }

  @Test
  void noArrayIsAsLargeAsEnormousMomentsAre() {
    MemorySegment few = Arena.ofAuto().allocate(64, 4);
    Parameter.Builder p = Parameter.builder("p", virtual(Long.MAX_VALUE - 1), BFLOAT16);
    String numel = "4611686018427387903";
    illegalArgument(
        "gradient of p has 64 bytes; " + numel + " elements of FLOAT32 take 9223372036854775807",
        () -> p.gradient(few).build());
    illegalArgument(
        "expAvg of p has 64 bytes; " + numel + " elements of FLOAT32 take 9223372036854775807",
        () -> p.gradient(null).moments(few, few).build());
  }
}
