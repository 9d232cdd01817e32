package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A snapshot of an optimizer's arrays, step counts and reports. Arrays that this thread cannot read
 * are left out.
 */
record State(Map<String, Bits> arrays, List<Long> steps, List<SpdReport> reports) {
  /** The contents of an array. Messages show a hash, which tells which arrays differ. */
  record Bits(ByteBuffer bytes) {
    @Override
    public String toString() {
      return Integer.toHexString(bytes.hashCode());
    }
  }

  static State of(Adam adam) {
    return new State(arrays(adam.parameters()), steps(adam), adam.spdReports());
  }

  /** Returns a snapshot without reports, for comparing with an optimizer that began later. */
  static State ofTraining(Adam adam) {
    return new State(arrays(adam.parameters()), steps(adam), List.of());
  }

  static List<Long> steps(Adam adam) {
    return adam.parameters().stream().map(Parameter::step).toList();
  }

  static Map<String, Bits> arrays(Collection<Parameter> parameters) {
    Map<String, Bits> arrays = new LinkedHashMap<>();
    for (Parameter p : parameters) {
      for (ParameterArray array : ParameterArray.values()) {
        put(arrays, array + " of " + p.name(), array.of(p));
      }
      put(arrays, "low of " + p.name(), p.low());
    }
    return arrays;
  }

  private static void put(Map<String, Bits> arrays, String what, MemorySegment s) {
    if (s != null && s.scope().isAlive() && s.isAccessibleBy(Thread.currentThread())) {
      arrays.put(what, new Bits(ByteBuffer.wrap(s.toArray(JAVA_BYTE))));
    }
  }
}
