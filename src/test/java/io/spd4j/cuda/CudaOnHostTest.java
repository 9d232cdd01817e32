package io.spd4j.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.FreshJvm;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Imitates other machines: the emulation is told which driver and devices they have. */
@CudaAvailable(onHostOnly = true)
class CudaOnHostTest {
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          DRIVER  | 0        | no NVIDIA driver is installed
          DRIVER  | 11040    | the NVIDIA driver supports CUDA 11.4, but this library needs 13.0 or later: update it
          DRIVER  | 12080    | the NVIDIA driver supports CUDA 12.8, but this library needs 13.0 or later: update it
          DEVICES | 0        | there is no CUDA device
          FAIL    | cudaGetDeviceCount:999:1 | CUDA cannot be used: cudaErrorUnknown (unknown error)
          FAIL    | cudaGetDeviceProperties:46:1 | asking for the name of device 0 failed: cudaErrorDevicesUnavailable
          """)
  void theReasonIsOneSentence(String setting, String value, String reason) throws Exception {
    String[] lines = run(Map.of("SPD4J_CUDA_ON_HOST_" + setting, value)).split("\\R");
    assertThat(lines).hasSize(3).endsWith("none");
    assertThat(lines[1]).startsWith(reason);
  }

  @Test
  void hiddenDevicesAreNamed() throws Exception {
    Map<String, String> hidden =
        Map.of("SPD4J_CUDA_ON_HOST_DEVICES", "0", "CUDA_VISIBLE_DEVICES", "-1");
    assertThat(run(hidden))
        .contains("there is no CUDA device (the environment has CUDA_VISIBLE_DEVICES=-1)");
  }

  private String run(Map<String, String> environment) throws Exception {
    return FreshJvm.run(folder, CudaOnHost.flags(), environment, CudaAvailabilityTest.Main.class);
  }

  @Test
  void twoDevicesAreKeptApart() throws Exception {
    String out =
        FreshJvm.run(
            folder,
            CudaOnHost.flags(),
            Map.of("SPD4J_CUDA_ON_HOST_DEVICES", "2"),
            TwoDevices.class);
    assertThat(out.strip()).isEqualTo("done");
  }
}
