package io.spd4j.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.spd4j.FreshJvm;
import io.spd4j.nativelib.Platform;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Without a GPU the reason is one sentence, and everything else works. */
class CudaAvailabilityTest {
  /** Prints what can be asked on every machine. */
  static final class Main {
    public static void main(String[] args) {
      MemorySegment segment = Arena.global().allocate(4);
      System.out.println("device memory: " + DeviceArena.isDevice(segment));
      Cuda.Availability availability = Cuda.availability();
      System.out.println(availability.reason());
      assertThat(Cuda.availability()).isSameAs(availability);
      assertThat(availability.available()).isEqualTo(!Cuda.devices().isEmpty());
      try {
        System.out.println("device: " + CudaDevice.of(0));
      } catch (IllegalStateException e) {
        assertThat(e).hasMessage("CUDA is not available: " + availability.reason());
        System.out.println("none");
      }
      assertThat(Thread.getAllStackTraces().keySet())
          .noneMatch(thread -> thread.getName().contains("cuda"));
    }
  }

  @TempDir Path folder;

  @Test
  void withoutTheLibrary() throws Exception {
    Path missing = folder.resolve("none.so");
    String out = FreshJvm.run(folder, List.of("-Dspd4j_cuda.library.path=" + missing), Main.class);
    assertThat(out)
        .isEqualToNormalizingNewlines(
            """
            device memory: false
            %s was not loaded: there is no file %s (-Dspd4j_cuda.library.path)
            none
            """
                .formatted(System.mapLibraryName("spd4j_cuda"), missing));
  }

  @Test
  void withTheRealLibrary() throws Exception {
    String bundled =
        "/META-INF/native/" + Platform.NAME + "/" + System.mapLibraryName("spd4j_cuda");
    assumeTrue(Cuda.class.getResource(bundled) != null, "no nvcc was found");
    String[] lines = FreshJvm.run(folder, List.of(), Main.class).split("\\R");
    assertThat(lines).hasSize(3);
    assertThat(lines[1])
        .matches(
            "no NVIDIA driver is installed"
                + "|the NVIDIA driver supports CUDA .*, but this library needs .* or later: update it"
                + "|there is no CUDA device.*"
                + "|CUDA cannot be used: .*"
                + "|.* was loaded from the bundled .*, compute capability .*");
    assertThat(lines[2]).matches("none|device: .* \\(compute capability .*, device 0\\)");
  }
}
