package io.spd4j.nativelib;

import java.lang.foreign.Arena;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.PaddingLayout;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Compares the structs of generated bindings with those that a library was compiled with. */
final class StructLayouts {
  /** A size or an offset that both sides must agree on. */
  private record Value(String name, long bytes) {}

  /** A library's spd4j_layout: writes up to capacity values and returns how many there are. */
  interface Export {
    long layout(MemorySegment values, long capacity);
  }

  private StructLayouts() {}

  /**
   * Returns what differs; empty if nothing does.
   *
   * @param structs the structs in the order in which the library exports them
   */
  static Optional<String> mismatch(List<GroupLayout> structs, Export export) {
    List<Value> bindings = new ArrayList<>();
    structs.forEach(struct -> add(struct, bindings));
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment library = arena.allocate(ValueLayout.JAVA_LONG, bindings.size());
      long count = export.layout(library, bindings.size());
      if (count != bindings.size()) {
        return Optional.of(
            count + " sizes and offsets, but these bindings need " + bindings.size());
      }
      for (int i = 0; i < bindings.size(); i++) {
        Value need = bindings.get(i);
        long bytes = library.getAtIndex(ValueLayout.JAVA_LONG, i);
        if (bytes != need.bytes) {
          return Optional.of(need.name + " " + bytes + ", but these bindings need " + need.bytes);
        }
      }
    }
    return Optional.empty();
  }

  private static void add(GroupLayout struct, List<Value> values) {
    String type = struct.name().orElseThrow();
    values.add(new Value("size of " + type, struct.byteSize()));
    for (MemoryLayout member : struct.memberLayouts()) {
      if (!(member instanceof PaddingLayout)) {
        String field = member.name().orElseThrow();
        long offset = struct.byteOffset(PathElement.groupElement(field));
        values.add(new Value("offset of " + type + "." + field, offset));
      }
    }
  }
}
