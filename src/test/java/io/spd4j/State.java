package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What an optimizer holds at a moment: arrays, step counts and reports. Arrays that this thread
 * cannot read are left out.
 */
record State(Map<String, Bits> arrays, List<Long> steps, List<SpdReport> reports) {
  /** The contents of an array; which of two differ is what a message has to tell. */
  record Bits(ByteBuffer bytes) {
    @Override
    public String toString() {
      return Integer.toHexString(bytes.hashCode());
    }
  }

  static State of(Adam adam) {
    return new State(arrays(adam.parameters()), steps(adam), adam.spdReports());
  }

  /** Without reports, to be compared with that of an optimizer that began later. */
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
        MemorySegment s = array.of(p);
        if (s != null && s.scope().isAlive() && s.isAccessibleBy(Thread.currentThread())) {
          arrays.put(array + " of " + p.name(), new Bits(ByteBuffer.wrap(s.toArray(JAVA_BYTE))));
        }
      }
    }
    return arrays;
  }
}
