package io.spd4j.nativelib;

import static io.spd4j.generated.cudart.cudart_h.CUDART_VERSION;
import static io.spd4j.generated.spd4jcuda.spd4j_cuda_h.SPD4J_CUDA_ABI_VERSION;

import io.spd4j.generated.cudart.cudart_h;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_control;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_group;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_h;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_item;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_run;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_state;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_table;
import java.lang.foreign.Arena;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;

/**
 * Checks that the loaded libspd4j_cuda and the generated bindings come from the same header, and
 * that the library's CUDA runtime has the bindings' major version.
 */
final class Spd4jCudaAbi {
  static final List<GroupLayout> STRUCTS =
      List.of(
          spd4j_cuda_group.layout(),
          spd4j_cuda_state.layout(),
          spd4j_cuda_control.layout(),
          spd4j_cuda_item.layout(),
          spd4j_cuda_table.layout(),
          spd4j_cuda_run.layout());

  private Spd4jCudaAbi() {}

  /**
   * Returns what differs; empty if nothing does.
   *
   * @throws UnsatisfiedLinkError if a function is missing
   */
  static Optional<String> mismatch() {
    // First, because another version may differ in everything else, even in the signatures.
    int version = spd4j_cuda_h.spd4j_cuda_abi_version();
    if (version != SPD4J_CUDA_ABI_VERSION()) {
      return Optional.of(
          "ABI version " + version + ", but these bindings need " + SPD4J_CUDA_ABI_VERSION());
    }
    BoundFunctions.find(spd4j_cuda_h.class);
    BoundFunctions.find(cudart_h.class);
    int runtime = runtimeMajor();
    if (runtime != major(CUDART_VERSION())) {
      return Optional.of(
          "CUDA runtime " + runtime + ", but these bindings need " + major(CUDART_VERSION()));
    }
    return StructLayouts.mismatch(STRUCTS, spd4j_cuda_h::spd4j_cuda_layout);
  }

  private static int runtimeMajor() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment version = arena.allocate(ValueLayout.JAVA_INT);
      cudart_h.cudaRuntimeGetVersion(version);
      return major(version.get(ValueLayout.JAVA_INT, 0));
    }
  }

  private static int major(int version) {
    return version / 1000;
  }
}
