package io.spd4j.finetune;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class InterruptionTest {
  /** The JVM is told to end while this runs. */
  static final class Job {
    public static void main(String[] args) throws InterruptedException {
      try (Interruption interruption = new Interruption()) {
        System.out.println("asked: " + interruption.requested());
        while (!interruption.requested()) {
          Thread.sleep(1);
        }
        Thread.sleep(100); // without the hook, the JVM would have ended by now
        System.out.println("saved");
      }
    }
  }

  @Test
  void theJvmEndsOnlyAfterTheJob() throws Exception {
    Process jvm =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                Job.class.getName())
            .redirectErrorStream(true)
            .start();
    try (BufferedReader out = jvm.inputReader(UTF_8)) {
      assertThat(out.readLine()).isEqualTo("asked: false");
      jvm.toHandle().destroy(); // SIGTERM has the same effect as Ctrl-C
      assertThat(out.lines()).containsExactly("saved");
      assertThat(jvm.waitFor()).isEqualTo(128 + 15);
    } finally {
      jvm.destroyForcibly();
    }
  }
}
