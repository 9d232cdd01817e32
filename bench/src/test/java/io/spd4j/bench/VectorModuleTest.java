package io.spd4j.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import org.junit.jupiter.api.Test;

class VectorModuleTest {
  @Test
  void passesOnTheStatusOfTheSecondJvm() throws IOException, InterruptedException {
    assertThat(VectorModule.relaunch("step", "--shape", "one:0")).isEqualTo(2);
  }

  @Test
  void oneIsEnoughWhereTheModuleIsResolved() {
    boolean resolved = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();

    assertThat(resolved && VectorModule.shouldRelaunch()).isFalse();
  }
}
