package io.spd4j.finetune.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import org.junit.jupiter.api.Test;
import picocli.CommandLine.Command;

class VectorModuleTest {
  /** A program without subcommands. */
  @Command
  static final class Nothing extends Program {
    public static void main(String[] args) throws IOException, InterruptedException {
      new Nothing().exit(args);
    }
  }

  @Test
  void passesOnTheStatusOfTheSecondJvm() throws IOException, InterruptedException {
    assertThat(VectorModule.relaunch(Nothing.class, "command")).isEqualTo(2);
  }

  @Test
  void doesNotRelaunchIfTheModuleIsResolved() {
    boolean resolved = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();

    assertThat(resolved && VectorModule.shouldRelaunch()).isFalse();
  }
}
