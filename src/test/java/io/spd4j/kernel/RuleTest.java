package io.spd4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.spd4j.generated.spd4j.spd4j_h;
import io.spd4j.nativelib.NativeLibrary;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

/** Java and the native library have the same rules in the same order. */
class RuleTest {
  @Test
  void theLibraryHasTheseRulesAndNoOthers() {
    assumeTrue(NativeLibrary.spd4j().loaded(), NativeLibrary.spd4j().reason());
    assertThat(Rule.unknown(spd4j_h::spd4j_rule_name)).isNull();
    assertThat(spd4j_h.spd4j_rule_name(Rule.values().length)).isEqualTo(MemorySegment.NULL);
    assertThat(spd4j_h.spd4j_rule_name(-1)).isEqualTo(MemorySegment.NULL);
  }

  @Test
  void aLibraryWithFewerOrReorderedRulesIsDetected() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment adamw = arena.allocateFrom("ADAMW");
      assertThat(Rule.unknown(rule -> rule == 0 ? adamw : MemorySegment.NULL)).isEqualTo(Rule.L2SP);
      assertThat(Rule.unknown(rule -> adamw)).isEqualTo(Rule.L2SP);
    }
  }

  @Test
  void idsOfPublicRulesFindTheirRule() {
    assertThat(Rule.of("none")).isEqualTo(Rule.ADAMW);
    assertThat(Rule.of("adamw")).isEqualTo(Rule.ADAMW);
    assertThat(Rule.of("l2sp_coupled")).isEqualTo(Rule.L2SP_COUPLED);
    assertThatThrownBy(() -> Rule.of("sgd")).isInstanceOf(IllegalArgumentException.class);
  }
}
