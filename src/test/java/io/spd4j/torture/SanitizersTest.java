package io.spd4j.torture;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.spd4j.generated.spd4j.spd4j_h;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The native library with sanitizers, under random callers in Java, and under random tables in C.
 * In long runs only: `make torture` builds what is needed.
 */
class SanitizersTest {
  private static final Path TARGET = Path.of("target").toAbsolutePath();

  /** Of the time that a long run has, as the tests in one JVM run one after the other. */
  private static final String CLASSES =
      "io.spd4j.torture.ApiSequencesTest io.spd4j.torture.ClosingArenasTest";

  /**
   * A kind of sanitizer. The JVM's own signals stay the JVM's. Not ThreadSanitizer: it does not see
   * how threads wait for each other in compiled Java, and takes every step after another for a
   * race. `make races` looks for races with threads in C.
   */
  enum Sanitizer {
    MEMORY(
        "sanitized",
        "ASAN_OPTIONS",
        "detect_leaks=0:allow_user_segv_handler=1:allocator_may_return_null=1");

    private final Path folder;
    private final String variable;
    private final String options;

    Sanitizer(String folder, String variable, String options) {
      this.folder = TARGET.resolve(folder);
      this.variable = variable;
      this.options = options + ":handle_segv=0:handle_sigbus=0:handle_sigfpe=0:exitcode=66";
    }

    /** Starts a JVM; returns the process. */
    Process start(double minutes, String main, String... arguments) throws IOException {
      List<String> command = new ArrayList<>();
      command.addAll(
          List.of(
              Path.of(System.getProperty("java.home"), "bin", "java").toString(),
              "-Xmx1g",
              "--add-modules",
              "jdk.incubator.vector",
              "--enable-native-access=ALL-UNNAMED",
              "-XX:-CreateCoredumpOnCrash",
              "-Dspd4j.library.path=" + folder.resolve("libspd4j.so"),
              "-Dspd4j.torture.minutes=" + minutes,
              "-cp",
              System.getProperty("java.class.path"),
              main));
      command.addAll(List.of(arguments));
      ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile());
      String preload = Files.readString(folder.resolve("preload")).strip();
      builder.environment().putAll(Map.of("LD_PRELOAD", preload, variable, options));
      return builder
          .redirectErrorStream(true)
          .redirectOutput(folder.resolve(main + ".log").toFile())
          .start();
    }

    String log(String main) throws IOException {
      return Files.readString(folder.resolve(main + ".log"), StandardCharsets.UTF_8);
    }
  }

  @BeforeAll
  static void isLong() {
    assumeTrue(Rounds.isLong(), "make torture runs it");
  }

  private static void assumeBuilt(Sanitizer sanitizer) {
    assumeTrue(Files.exists(sanitizer.folder.resolve("preload")), "the compiler has no sanitizers");
  }

  /** Misuses the library as no caller of the public API can: the sanitizer must notice it. */
  static final class Misuse {
    private static final int NUMEL = 1 << 12;

    public static void main(String[] args) throws Exception {
      System.load(System.getProperty("spd4j.library.path"));
      try (Arena arena = Arena.ofShared()) {
        MemorySegment array = arena.allocate(4L * NUMEL, 4);
        interpolate(array, NUMEL + 1);
      }
    }

    private static void interpolate(MemorySegment array, long numel) {
      for (int i = 0; i < 20; i++) {
        spd4j_h.spd4j_interpolate(0, array, 0, array, 0, 0.5, array, 0, numel);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void aFaultIsReported(Sanitizer sanitizer) throws Exception {
    assumeBuilt(sanitizer);
    String main = Misuse.class.getName();
    assertThat(sanitizer.start(0, main, sanitizer.name()).waitFor()).isNotZero();
    assertThat(sanitizer.log(main)).contains("heap-buffer-overflow");
  }

  @Test
  void nothingIsReportedUnderRandomCallersAndTables() throws Exception {
    String main = TestMain.class.getName();
    String[] classes = CLASSES.split(" ");
    List<Sanitizer> sanitizers =
        List.of(Sanitizer.values()).stream()
            .filter(sanitizer -> Files.exists(sanitizer.folder.resolve("preload")))
            .toList();
    List<Process> running = new ArrayList<>();
    for (Sanitizer sanitizer : sanitizers) {
      running.add(sanitizer.start(Rounds.minutes() / classes.length, main, classes));
    }
    for (String fuzzer : List.of("test_fuzz", "test_fuzz-shipped")) {
      running.add(
          new ProcessBuilder(
                  TARGET.resolve("c-test").resolve(fuzzer).toString(), "" + Rounds.minutes())
              .redirectErrorStream(true)
              .redirectOutput(log(fuzzer).toFile())
              .start());
    }
    try {
      for (Process process : running) {
        process.waitFor();
      }
    } finally {
      running.forEach(Process::destroyForcibly);
    }
    for (int i = 0; i < sanitizers.size(); i++) {
      String log = sanitizers.get(i).log(main);
      assertThat(running.get(i).exitValue()).as(log).isZero();
      assertThat(log).endsWith("tests passed\n").doesNotContain("Sanitizer: ", "runtime error: ");
      report("Java with " + sanitizers.get(i), log);
    }
    for (String fuzzer : List.of("test_fuzz", "test_fuzz-shipped")) {
      String log = Files.readString(log(fuzzer));
      assertThat(log).as(fuzzer).contains(" rounds: ");
      report(fuzzer, log);
    }
    assertThat(running).allMatch(process -> process.exitValue() == 0);
  }

  private static Path log(String fuzzer) {
    return TARGET.resolve("c-test").resolve(fuzzer + ".log");
  }

  /** Adds the figures of a log to what `make torture` prints. */
  private static void report(String what, String log) throws IOException {
    StringBuilder lines = new StringBuilder();
    log.lines()
        .filter(line -> line.matches(".*: [0-9,]+ .*"))
        .map(line -> line.substring(line.lastIndexOf('\r') + 1))
        .forEach(line -> lines.append("%s: %s%n".formatted(what, line)));
    Path folder = Files.createDirectories(TARGET.resolve("torture"));
    Files.writeString(folder.resolve("Sanitizers " + what + ".txt"), lines);
  }
}
