package io.spd4j.nativelib;

import static io.spd4j.generated.spd4j.spd4j_h.SPD4J_ISA_BASELINE;
import static io.spd4j.generated.spd4j.spd4j_h.SPD4J_ISA_X86_64_V3;
import static io.spd4j.generated.spd4j.spd4j_h.SPD4J_ISA_X86_64_V4;
import static io.spd4j.generated.spd4j.spd4j_h.spd4j_best_isa;

import java.util.List;
import java.util.stream.IntStream;

/**
 * An instruction set tier of libspd4j.
 *
 * @param tier the value of spd4j_isa
 * @param name the name that users see
 */
public record Isa(int tier, String name) {
  /** Returns the best tier for this machine. libspd4j must be loaded. */
  public static Isa best() {
    return of(spd4j_best_isa(), Platform.ARCH);
  }

  /** Returns every tier that this machine can run, the best last. libspd4j must be loaded. */
  public static List<Isa> all() {
    return IntStream.rangeClosed(0, spd4j_best_isa())
        .mapToObj(tier -> of(tier, Platform.ARCH))
        .toList();
  }

  static Isa of(int tier, String arch) {
    String name = "tier " + tier;
    if (tier == SPD4J_ISA_BASELINE()) {
      name = arch.equals("aarch64") ? "armv8-a" : "baseline";
    } else if (tier == SPD4J_ISA_X86_64_V3()) {
      name = "x86-64-v3";
    } else if (tier == SPD4J_ISA_X86_64_V4()) {
      name = "x86-64-v4";
    }
    return new Isa(tier, name);
  }
}
