package io.spd4j.bench;

import io.spd4j.MomentType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Stream;

/** Checks that all runs of a trace give the same bits as the first. */
final class FirstBits {
  private record Key(int step, int tensor, int copy) {}

  private final Map<Key, MemorySegment[]> first = new HashMap<>();

  /**
   * Compares a tensor's values and SPD's c after a step with those of the first run.
   *
   * @param copy which of a tensor's copies is compared, if not all of them have the same bits
   */
  boolean same(int tensor, int step, int copy, StepOutput output) {
    MemorySegment[] expected =
        first.computeIfAbsent(
            new Key(step, tensor, copy),
            key ->
                arrays(output)
                    .map(array -> MemorySegment.ofArray(array.toArray(ValueLayout.JAVA_BYTE)))
                    .toArray(MemorySegment[]::new));
    MemorySegment[] actual = arrays(output).toArray(MemorySegment[]::new);
    for (int a = 0; a < actual.length; a++) {
      if (actual[a].mismatch(expected[a]) >= 0) {
        return false;
      }
    }
    return true;
  }

  private static Stream<MemorySegment> arrays(StepOutput o) {
    MemorySegment condition = MemorySegment.ofArray(new double[] {o.condition()});
    Stream<MemorySegment> floats =
        Stream.of(o.data(), o.expAvg(), o.expAvgSq(), o.maxExpAvgSq(), condition);
    boolean codes = o.stored() != null && o.stored().momentType() == MomentType.BLOCKWISE_8BIT;
    return Stream.concat(
            floats, codes ? Stream.of(o.stored().expAvg(), o.stored().expAvgSq()) : Stream.empty())
        .filter(array -> array != null);
  }
}
