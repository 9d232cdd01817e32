package io.spd4j.onednn;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.spd4j.nativelib.Platform;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Checks that oneDNN obeys the cap with which {@code make cpu-caps} imitates a lesser CPU. */
class CpuCapTest {
  /** dnnl_cpu_isa_t: an instruction set has the bits of all sets that it includes. */
  private static final Map<String, Integer> SETS =
      Map.of(
          "SSE41", 0x1,
          "AVX2", 0x7,
          "AVX512_CORE", 0x27,
          "AVX512_CORE_BF16", 0xe7);

  @Test
  void oneDnnUsesNoMoreThanTheCap() throws Throwable {
    Cases.assumeOneDnn();
    String cap = System.getenv("ONEDNN_MAX_CPU_ISA");
    assumeTrue(cap != null, "no cap is set");
    assumeTrue(Platform.ARCH.equals("x86_64"), "these instruction sets are x86-64's");
    MemorySegment function =
        SymbolLookup.loaderLookup().find("dnnl_get_effective_cpu_isa").orElseThrow();
    MethodHandle effective =
        Linker.nativeLinker().downcallHandle(function, FunctionDescriptor.of(JAVA_INT));
    int used = (int) effective.invokeExact();

    // oneDNN silently ignores a name that it does not know, and caps nothing.
    assertThat(SETS).containsKey(cap);
    assertThat(used & ~SETS.get(cap)).isZero();
    String reached = used == SETS.get(cap) ? "" : ", all that this CPU has";
    System.out.printf("oneDNN, capped at %s, uses %#x%s%n", cap, used, reached);
  }
}
