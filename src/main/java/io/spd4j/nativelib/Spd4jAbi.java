package io.spd4j.nativelib;

import static io.spd4j.generated.spd4j.spd4j_h.SPD4J_ABI_VERSION;

import io.spd4j.generated.spd4j.spd4j_block;
import io.spd4j.generated.spd4j.spd4j_decision;
import io.spd4j.generated.spd4j.spd4j_h;
import io.spd4j.generated.spd4j.spd4j_scalars;
import io.spd4j.generated.spd4j.spd4j_sums;
import io.spd4j.generated.spd4j.spd4j_table;
import io.spd4j.generated.spd4j.spd4j_tensor;
import java.lang.foreign.GroupLayout;
import java.util.List;
import java.util.Optional;

/** Checks that the loaded libspd4j and the generated bindings come from the same header. */
final class Spd4jAbi {
  private static final List<GroupLayout> STRUCTS =
      List.of(
          spd4j_tensor.layout(),
          spd4j_scalars.layout(),
          spd4j_block.layout(),
          spd4j_sums.layout(),
          spd4j_decision.layout(),
          spd4j_table.layout());

  private Spd4jAbi() {}

  /**
   * Returns what differs; empty if nothing does.
   *
   * @throws UnsatisfiedLinkError if a function is missing
   */
  static Optional<String> mismatch() {
    // First, because another version may differ in everything else, even in the signatures.
    int version = spd4j_h.spd4j_abi_version();
    if (version != SPD4J_ABI_VERSION()) {
      return Optional.of(
          "ABI version " + version + ", but these bindings need " + SPD4J_ABI_VERSION());
    }
    BoundFunctions.find(spd4j_h.class);
    return StructLayouts.mismatch(STRUCTS, spd4j_h::spd4j_layout);
  }
}
