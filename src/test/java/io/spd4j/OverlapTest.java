package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** An array that steps write must not overlap any other; arrays that are only read may overlap. */
class OverlapTest {
  private static final ParameterArray[] ARRAYS = ParameterArray.values();
  private static final long BYTES = 64;

  @AutoClose private final Arena arena = Arena.ofShared();

  /** Memory for twelve arrays with room around each. */
  private final MemorySegment memory = arena.allocate(64 * BYTES, 64);

  private record Pair(ParameterArray first, ParameterArray second, boolean oneTensor) {
    boolean readOnly() {
      return !first.written && !second.written;
    }
  }

  static List<Pair> pairs() {
    List<Pair> pairs = new ArrayList<>();
    for (ParameterArray first : ARRAYS) {
      for (ParameterArray second : ARRAYS) {
        pairs.add(new Pair(first, second, false));
        if (first.compareTo(second) < 0) {
          pairs.add(new Pair(first, second, true));
        }
      }
    }
    return pairs;
  }

  private MemorySegment[] arrays(int from) {
    MemorySegment[] arrays = new MemorySegment[ARRAYS.length];
    Arrays.setAll(arrays, i -> memory.asSlice((from + 4 * i) * BYTES, BYTES));
    return arrays;
  }

  private static Adam adam(Parameter... parameters) {
    return Adam.builder()
        .group(ParameterGroup.builder().amsgrad(true).parameters(List.of(parameters)).build())
        .build();
  }

  /** Returns two parameters in which the pair's second array starts shift bytes after its first. */
  private Parameter[] shifted(Pair pair, long shift) {
    MemorySegment[] p = arrays(2);
    MemorySegment[] q = arrays(32);
    MemorySegment[] second = pair.oneTensor() ? p : q;
    long begin = p[pair.first().ordinal()].address() - memory.address();
    second[pair.second().ordinal()] = memory.asSlice(begin + shift, BYTES);
    return new Parameter[] {ParameterArray.parameter("p", p), ParameterArray.parameter("q", q)};
  }

  @ParameterizedTest
  @MethodSource("pairs")
  void writtenArraysMustNotOverlap(Pair pair) {
    for (long shift : new long[] {0, 4, BYTES - 4, -4, 4 - BYTES}) {
      Parameter[] parameters = shifted(pair, shift);
      if (pair.readOnly()) {
        adam(parameters).close();
        continue;
      }
      memory.fill((byte) 1);
      Map<?, ?> before = State.arrays(List.of(parameters));
      assertThatIllegalArgumentException()
          .isThrownBy(() -> adam(parameters))
          .withMessageContainingAll(
              pair.first() + " of p",
              " overlaps ",
              pair.second() + (pair.oneTensor() ? " of p" : " of q"));
      assertThat(State.arrays(List.of(parameters))).isEqualTo(before);
    }
  }

  @ParameterizedTest
  @MethodSource("pairs")
  void adjacentArraysDoNotOverlap(Pair pair) {
    adam(shifted(pair, BYTES)).close();
    adam(shifted(pair, -BYTES)).close();
  }

  @Test
  void anArrayMayNotContainAnother() {
    Parameter big = Parameter.builder("big", memory.asSlice(0, 10 * BYTES)).build();
    MemorySegment inside = memory.asSlice(3 * BYTES, BYTES);
    Parameter small = Parameter.builder("small", inside).build();
    for (Parameter[] order : new Parameter[][] {{big, small}, {small, big}}) {
      assertThatIllegalArgumentException()
          .isThrownBy(() -> adam(order))
          .withMessageContainingAll("data of big", "data of small");
    }
  }

  @Test
  void aLongReadArrayIsRememberedAfterAShorterOne() {
    Parameter reader =
        Parameter.of(
            "reader", memory.asSlice(40 * BYTES, 10 * BYTES), memory.asSlice(0, 10 * BYTES));
    Parameter other =
        Parameter.of("other", memory.asSlice(30 * BYTES, BYTES), memory.asSlice(BYTES, BYTES));
    Parameter writer = Parameter.builder("writer", memory.asSlice(5 * BYTES, BYTES)).build();
    assertThatIllegalArgumentException()
        .isThrownBy(() -> adam(reader, other, writer))
        .withMessageContainingAll("data of writer", "gradient of reader");
  }

  @Test
  void emptyArraysNeverOverlap() {
    MemorySegment[] empty = new MemorySegment[ARRAYS.length];
    Arrays.fill(empty, memory.asSlice(3 * BYTES, 0));
    Parameter around = Parameter.builder("around", memory.asSlice(0, 10 * BYTES)).build();
    Parameter nothing = ParameterArray.parameter("nothing", empty);
    try (Adam adam = adam(nothing, around)) {
      nothing.gradient(memory.asSlice(4 * BYTES, 0));
      adam.step();
      assertThat(nothing.step()).isEqualTo(1);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 4, BYTES - 4, -4, 4 - BYTES})
  void aNewGradientMustNotOverlapWrittenArrays(long shift) {
    Parameter p = ParameterArray.parameter("p", arrays(2));
    Parameter q = ParameterArray.parameter("q", arrays(32));
    try (Adam adam = adam(p, q)) {
      State before = State.of(adam);
      MemorySegment gradient = p.gradient();
      for (Parameter victim : List.of(p, q)) {
        for (MemorySegment written :
            List.of(victim.data(), victim.expAvg(), victim.expAvgSq(), victim.maxExpAvgSq())) {
          long begin = written.address() - memory.address() + shift;
          assertThatIllegalArgumentException()
              .isThrownBy(() -> p.gradient(memory.asSlice(begin, BYTES)))
              .withMessageContainingAll("gradient of p", " overlaps ", "of " + victim.name());
        }
        long anchor = victim.anchor().address() - memory.address() + shift;
        p.gradient(memory.asSlice(anchor, BYTES));
        p.gradient(gradient);
      }
      assertThat(State.of(adam)).isEqualTo(before);
      assertThat(p.gradient()).isSameAs(gradient);
    }
  }

  @Test
  void aNewGradientMayTouchItsNeighbours() {
    Parameter p = ParameterArray.parameter("p", arrays(2));
    try (Adam adam = adam(p)) {
      for (MemorySegment written : List.of(p.data(), p.expAvg(), p.expAvgSq(), p.maxExpAvgSq())) {
        long begin = written.address() - memory.address();
        p.gradient(memory.asSlice(begin - BYTES, BYTES));
        p.gradient(memory.asSlice(begin + BYTES, BYTES));
      }
      adam.step();
      assertThat(p.step()).isEqualTo(1);
    }
  }

  @Test
  void aGradientMustNotBeAMomentThatTheOptimizerAllocated() {
    Parameter p = Parameter.of("p", memory.asSlice(0, BYTES), memory.asSlice(2 * BYTES, BYTES));
    Parameter q = Parameter.builder("q", memory.asSlice(4 * BYTES, BYTES)).build();
    try (Adam adam = adam(p, q)) {
      for (Parameter victim : adam.parameters()) {
        for (MemorySegment moment :
            List.of(victim.expAvg(), victim.expAvgSq(), victim.maxExpAvgSq())) {
          assertThatIllegalArgumentException()
              .isThrownBy(() -> p.gradient(moment))
              .withMessageContainingAll("gradient of p", " overlaps ", "of " + victim.name());
        }
      }
    }
  }

  /** Returns memory as an arena's, which may be freed and allocated again. */
  private MemorySegment in(Arena owner, long from, long lines) {
    return in(owner, memory.asSlice(from * BYTES, lines * BYTES));
  }

  @SuppressWarnings("restricted")
  private static MemorySegment in(Arena owner, MemorySegment memory) {
    return MemorySegment.ofAddress(memory.address()).reinterpret(memory.byteSize(), owner, null);
  }

  /** An optimizer of p, in lines 2 to 23 of the memory, whose arena is closed, and of q. */
  private Adam withClosed(Parameter q) {
    try (Arena freed = Arena.ofShared()) {
      MemorySegment[] arrays = new MemorySegment[ARRAYS.length];
      Arrays.setAll(arrays, i -> in(freed, 2 + 4 * i, 2));
      Parameter p = ParameterArray.parameter("p", arrays);
      return adam(p, q);
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 2, -1})
  void whatAClosedArenaHeldCanBeAGradient(long shift) {
    Parameter q = ParameterArray.parameter("q", arrays(32));
    try (Adam adam = withClosed(q)) {
      Parameter p = adam.parameters().getFirst();
      p.gradient(null);
      for (int i = 0; i < ARRAYS.length; i++) {
        q.gradient(memory.asSlice((2 + 4 * i + shift) * BYTES, BYTES));
        adam.step();
      }
      assertThat(q.step()).isEqualTo(ARRAYS.length);
      assertThat(p.step()).isZero();
      assertThatIllegalArgumentException()
          .isThrownBy(() -> q.gradient(q.expAvg()))
          .withMessage("gradient of q overlaps expAvg of q");
    }
  }

  @Test
  void aLiveArrayIsFoundBehindClosedOnes() {
    Parameter q = Parameter.builder("q", memory.asSlice(0, 2 * BYTES)).build();
    try (Adam adam = adam(q)) {
      try (Arena freed = Arena.ofShared()) {
        ParameterGroup group = adam.groups().getFirst();
        adam.addParameter(group, Parameter.builder("f", in(freed, 2, 1)).build());
        adam.addParameter(group, Parameter.builder("g", in(freed, 3, 1)).build());
      }
      assertThatIllegalArgumentException()
          .isThrownBy(() -> q.gradient(memory.asSlice(BYTES, 2 * BYTES)))
          .withMessage("gradient of q overlaps data of q");
      q.gradient(memory.asSlice(2 * BYTES, 2 * BYTES));
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, -1})
  void aParameterCanJoinWhereAClosedArenaWas(long shift) {
    try (Adam adam = withClosed(ParameterArray.parameter("q", arrays(32)))) {
      Parameter p = adam.parameters().getFirst();
      MemorySegment[] arrays = new MemorySegment[ARRAYS.length];
      Arrays.setAll(arrays, i -> memory.asSlice((2 + 4 * i + shift) * BYTES, BYTES));
      Parameter r = ParameterArray.parameter("r", arrays);
      adam.addParameter(adam.groups().getFirst(), r);
      p.gradient(null);
      adam.step();
      assertThat(r.step()).isEqualTo(1);
    }
  }

  @Test
  void aClosedArenaIsNamedBeforeWhatLiesThereNow() {
    Parameter q = ParameterArray.parameter("q", arrays(2));
    Parameter p;
    try (Arena freed = Arena.ofShared()) {
      p = Parameter.builder("p", in(freed, 2, 1)).build();
    }
    assertThatIllegalArgumentException()
        .isThrownBy(() -> adam(p, q))
        .withMessage("data of p lies in an arena that is closed");
  }

  @Test
  void ranksForgetGradientsOfClosedArenas() {
    ThreadRanks.run(
        2,
        ranks -> {
          try (Arena own = Arena.ofShared()) {
            MemorySegment lines = own.allocate(8 * BYTES, 64);
            Parameter p = Parameter.builder("p", lines.asSlice(0, BYTES)).build();
            Parameter q = Parameter.builder("q", lines.asSlice(BYTES, BYTES)).build();
            MemorySegment there = lines.asSlice(2 * BYTES, BYTES);
            try (Adam adam =
                Adam.builder().ranks(ranks).group(0.1, new L2SP(0), List.of(p, q)).build()) {
              try (Arena freed = Arena.ofShared()) {
                p.gradient(in(freed, there));
              }
              q.gradient(there);
              p.gradient(null);
              assertThatIllegalArgumentException()
                  .isThrownBy(() -> p.gradient(there.asSlice(0, BYTES)))
                  .withMessage("gradient of p overlaps gradient of q");
              assertThat(adam.parameters()).containsExactly(p, q);
            }
          }
          return null;
        });
  }

  @Test
  void anEmptyGradientThatGoesLeavesItsNeighbour() {
    ThreadRanks.run(
        2,
        ranks -> {
          try (Arena own = Arena.ofShared()) {
            MemorySegment lines = own.allocate(8 * BYTES, 64);
            MemorySegment empty = lines.asSlice(0, 0);
            Parameter e = Parameter.builder("e", empty).gradient(empty).build();
            Parameter q = Parameter.builder("q", lines.asSlice(0, BYTES)).build();
            try (Adam adam =
                Adam.builder().ranks(ranks).group(0.1, new L2SP(0), List.of(e, q)).build()) {
              e.gradient(null);
              assertThatIllegalArgumentException()
                  .isThrownBy(() -> q.gradient(lines.asSlice(0, BYTES)))
                  .withMessage("gradient of q overlaps data of q");
              assertThat(adam.parameters()).hasSize(2);
            }
          }
          return null;
        });
  }
}
