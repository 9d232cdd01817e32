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
}
