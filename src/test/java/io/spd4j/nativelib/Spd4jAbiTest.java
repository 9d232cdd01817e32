package io.spd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.generated.spd4j.spd4j_h;
import io.spd4j.generated.spd4j.spd4j_tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class Spd4jAbiTest {
  @TempDir Path folder;

  @BeforeEach
  void built() {
    Places.assumeBuilt();
    assertThat(NativeLibrary.spd4j().loaded()).as(NativeLibrary.spd4j().reason()).isTrue();
  }

  @Test
  void anotherAbiVersionIsRefused() throws Exception {
    int need = spd4j_h.SPD4J_ABI_VERSION();
    refused(
        "int spd4j_abi_version(void) { return " + (need + 1) + "; }",
        "ABI version " + (need + 1) + ", but these bindings need " + need);
  }

  @Test
  void aLibraryOfSomethingElseIsRefused() throws Exception {
    refused("int nothing;", "unresolved symbol: spd4j_abi_version");
  }

  @Test
  void aMissingKernelIsRefused() throws Exception {
    refused(
        library(library()).replace("spd4j_project", "project"), "unresolved symbol: spd4j_project");
  }

  @Test
  void anotherSizeIsRefused() throws Exception {
    long[] values = library();
    values[0] = 8;
    refused(
        library(values),
        "size of spd4j_tensor 8, but these bindings need " + spd4j_tensor.layout().byteSize());
  }

  @Test
  void anotherOffsetIsRefused() throws Exception {
    long[] values = library();
    long need = values[values.length - 2]++;
    refused(
        library(values),
        "offset of spd4j_table.tensor_count " + (need + 1) + ", but these bindings need " + need);
  }

  @Test
  void anotherNumberOfFieldsIsRefused() throws Exception {
    int need = library().length;
    refused(
        library(Arrays.copyOf(library(), need + 1)),
        (need + 1) + " sizes and offsets, but these bindings need " + need);
  }

  private static long[] library() {
    try (Arena arena = Arena.ofConfined()) {
      long count = spd4j_h.spd4j_layout(MemorySegment.NULL, 0);
      MemorySegment values = arena.allocate(ValueLayout.JAVA_LONG, count);
      spd4j_h.spd4j_layout(values, count);
      return values.toArray(ValueLayout.JAVA_LONG);
    }
  }

  /** Returns the C source of a library of this ABI version with the given layout. */
  private static String library(long[] layout) {
    return """
    #include <stdint.h>
    static const int64_t layout[] = {%s};
    int32_t spd4j_abi_version(void) { return %d; }
    int64_t spd4j_layout(int64_t *values, int64_t capacity) {
      int64_t count = sizeof layout / sizeof layout[0];
      for (int64_t i = 0; i < count && i < capacity; i++) values[i] = layout[i];
      return count;
    }
    void spd4j_best_isa(void) {}
    void spd4j_rule_name(void) {}
    void spd4j_update(void) {}
    void spd4j_project(void) {}
    void spd4j_grad_sq(void) {}
    void spd4j_interpolate(void) {}
    """
        .formatted(
            Arrays.stream(layout).mapToObj(Long::toString).collect(Collectors.joining(", ")),
            spd4j_h.SPD4J_ABI_VERSION());
  }

  private void refused(String source, String reason) throws Exception {
    Outcome.refused(folder, "spd4j", Map.of(), source, reason);
  }
}
