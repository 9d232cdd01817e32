package io.spd4j.finetune.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MachineTest {
  @TempDir private Path folder;

  @Test
  void namesTheProcessor() throws IOException {
    Path cpuinfo =
        Files.writeString(
            folder.resolve("cpuinfo"),
            """
            processor\t: 0
            model\t\t: 151
            model name\t: AMD Ryzen 9: 7950X
            processor\t: 1
            model name\t: another
            """);

    assertThat(Machine.cpu(cpuinfo, "amd64")).isEqualTo("AMD Ryzen 9: 7950X");
  }

  @Test
  void namesTheArchitectureWhereThereIsNoModel() throws IOException {
    Path arm =
        Files.writeString(folder.resolve("cpuinfo"), "processor\t: 0\nCPU architecture: 8\n");

    assertThat(Machine.cpu(arm, "aarch64")).isEqualTo("aarch64");
    assertThat(Machine.cpu(folder.resolve("missing"), "x86_64")).isEqualTo("x86_64");
  }

  @Test
  void tellsAboutThisMachine() {
    Machine here = Machine.here();

    assertThat(here.cpu()).isNotBlank();
    assertThat(here.cores()).isEqualTo(Runtime.getRuntime().availableProcessors());
    assertThat(here.jdk()).startsWith(Runtime.version().toString());
    assertThat(here.os()).startsWith(System.getProperty("os.name"));
  }
}
