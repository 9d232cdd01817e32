package io.spd4j.nativelib;

import static io.spd4j.generated.spd4j.spd4j_h.SPD4J_ABI_VERSION;

import io.spd4j.generated.spd4j.spd4j_block;
import io.spd4j.generated.spd4j.spd4j_h;
import io.spd4j.generated.spd4j.spd4j_scalars;
import io.spd4j.generated.spd4j.spd4j_sums;
import io.spd4j.generated.spd4j.spd4j_table;
import io.spd4j.generated.spd4j.spd4j_tensor;
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

/** Whether the loaded libspd4j and the generated bindings are of the same header. */
final class Spd4jAbi {
  /** A size or an offset that both sides must agree on. */
  private record Value(String name, long bytes) {}

  private Spd4jAbi() {}

  /**
   * What differs, if anything.
   *
   * @throws UnsatisfiedLinkError if a function is missing
   */
  static Optional<String> mismatch() {
    // First, and alone: of another version nothing else is known, not even the signatures.
    int version = spd4j_h.spd4j_abi_version();
    if (version != SPD4J_ABI_VERSION()) {
      return Optional.of("ABI version " + version + ", these bindings need " + SPD4J_ABI_VERSION());
    }
    // Each throws here, and not within the first step.
    spd4j_h.spd4j_best_isa$address();
    spd4j_h.spd4j_update$address();
    spd4j_h.spd4j_project$address();
    spd4j_h.spd4j_grad_sq$address();
    return layoutMismatch();
  }

  private static Optional<String> layoutMismatch() {
    List<Value> bindings = new ArrayList<>();
    for (GroupLayout struct :
        List.of(
            spd4j_tensor.layout(),
            spd4j_scalars.layout(),
            spd4j_block.layout(),
            spd4j_sums.layout(),
            spd4j_table.layout())) {
      add(struct, bindings);
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment library = arena.allocate(ValueLayout.JAVA_LONG, bindings.size());
      long count = spd4j_h.spd4j_layout(library, bindings.size());
      if (count != bindings.size()) {
        return Optional.of(count + " sizes and offsets, these bindings need " + bindings.size());
      }
      for (int i = 0; i < bindings.size(); i++) {
        Value need = bindings.get(i);
        long bytes = library.getAtIndex(ValueLayout.JAVA_LONG, i);
        if (bytes != need.bytes) {
          return Optional.of(need.name + " " + bytes + ", these bindings need " + need.bytes);
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
